"""Which photos a generation is of, by their numbers."""

from __future__ import annotations

import json

import numpy as np

from index.generation.manifest import DISTRACTORS, ITEMS, Generation

__all__ = ["distractors_of", "labels_of"]


def labels_of(generation: Generation) -> dict[int, str]:
    """The label of every item, by number. Of a generation whose files were verified."""
    with np.load(generation.folder / ITEMS, allow_pickle=False) as arrays:
        names = json.loads(arrays["label_names"].tobytes())
        return {
            number: names[code]
            for number, code in zip(arrays["numbers"].tolist(), arrays["label_codes"].tolist(), strict=True)
        }


def distractors_of(generation: Generation) -> set[int]:
    """The numbers of its distractors. Of a generation whose files were verified."""
    with np.load(generation.folder / DISTRACTORS, allow_pickle=False) as arrays:
        return set(arrays["numbers"].tolist())
