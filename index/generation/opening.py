"""A recogniser over a generation on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from index.background import Background
from index.engines import open_index
from index.errors import GenerationCorrupt, GenerationMismatch
from index.generation.manifest import ADAPTATION, CALIBRATION, DISTRACTORS, FEATURES, ITEMS, VECTORS, Generation
from index.generation.published import read_generation, verify_generation
from index.items import Item, ListedItems
from index.pipeline import Pipeline
from index.recognizer import DEFAULT_FAR_BUDGET, Recognizer
from index.tuning import Tuning
from index.verification import FeatureFile, Verifier

__all__ = ["open_generation", "open_recognizer"]

_SHIPPED = Pipeline()


def open_recognizer(
    root: Path,
    number: int,
    *,
    bundle_sha256: str,
    background: Background,
    far_budget: float = DEFAULT_FAR_BUDGET,
    pipeline: Pipeline = _SHIPPED,
    verifier: Verifier | None = None,
    verify: bool = True,
) -> tuple[Recognizer, Generation]:
    """A recogniser over a memory-mapped generation; later changes can be laid over it.

    Raises:
        GenerationNotFound, GenerationCorrupt: see `verify_generation`.
        GenerationMismatch: another bundle made it, or the dimension differs.
    """
    generation = verify_generation(root, number) if verify else read_generation(root, number)
    recognizer = open_generation(
        generation,
        bundle_sha256=bundle_sha256,
        background=background,
        far_budget=far_budget,
        pipeline=pipeline,
        verifier=verifier,
    )
    return recognizer, generation


def open_generation(
    generation: Generation,
    *,
    bundle_sha256: str,
    background: Background,
    far_budget: float = DEFAULT_FAR_BUDGET,
    pipeline: Pipeline = _SHIPPED,
    verifier: Verifier | None = None,
) -> Recognizer:
    """Like `open_recognizer`, of a generation whose files are known to be whole, such as one just written.

    Raises:
        GenerationCorrupt, GenerationMismatch.
    """
    manifest, number = generation.manifest, generation.number
    if manifest.bundle_sha256 != bundle_sha256:
        raise GenerationMismatch(
            f"generation {number} was made with bundle {manifest.bundle_sha256[:12]}, "
            f"this server has {bundle_sha256[:12]}; serve the old bundle, or embed the gallery again",
            expected=bundle_sha256,
            got=manifest.bundle_sha256,
        )
    if FEATURES not in manifest.files:
        raise GenerationCorrupt(
            f"generation {number} is of an older Whichone, without {FEATURES}; publish a new generation",
            file=FEATURES,
            number=number,
        )
    base = open_index(generation.folder / VECTORS, manifest.engine)
    if base.dim != manifest.dim or len(base) != manifest.items:
        raise GenerationMismatch(
            f"generation {number}: {VECTORS} holds {len(base)} vectors of {base.dim} values, "
            f"its manifest says {manifest.items} of {manifest.dim}",
            file=VECTORS,
        )
    recognizer = Recognizer(
        manifest.dim,
        bundle_sha256=bundle_sha256,
        background=background,
        far_budget=far_budget,
        base=base,
        features=FeatureFile.open(generation.folder / FEATURES),
        pipeline=pipeline,
        verifier=verifier,
        listed=_read_items(generation),
    )
    recognizer.views.update(_read_views(generation))
    _read_distractors(generation, recognizer)
    if CALIBRATION in manifest.files:
        recognizer.tuning = _read_tuning(generation)
    return recognizer


def _read_items(generation: Generation) -> ListedItems:
    with np.load(generation.folder / ITEMS, allow_pickle=False) as arrays:
        names = json.loads(arrays["label_names"].tobytes())
        return ListedItems(arrays["numbers"], arrays["ids"], arrays["label_codes"], names)


def _read_views(generation: Generation) -> dict[int, NDArray[np.float32]]:
    with np.load(generation.folder / ITEMS, allow_pickle=False) as arrays:
        numbers, views = arrays["view_numbers"], arrays["views"]
    distinct, starts = np.unique(numbers, return_index=True)  # they stand together, ascending
    return dict(zip(distinct.tolist(), np.split(views, starts[1:]), strict=True)) if len(distinct) else {}


def _read_tuning(generation: Generation) -> Tuning:
    try:
        body = json.loads((generation.folder / CALIBRATION).read_text(encoding="utf-8"))
        packed = ADAPTATION in generation.manifest.files
        adaptation = (generation.folder / ADAPTATION).read_bytes() if packed else b""
        return Tuning.from_parts(body, adaptation, generation.manifest.dim)
    except ValueError as error:
        raise GenerationCorrupt(
            f"generation {generation.number}: {CALIBRATION} and {ADAPTATION} are not what this version writes; "
            "publish a new generation",
            file=CALIBRATION,
            number=generation.number,
        ) from error


def _read_distractors(generation: Generation, recognizer: Recognizer) -> None:
    with np.load(generation.folder / DISTRACTORS, allow_pickle=False) as arrays:
        empty = np.empty((0, recognizer.dim), np.float32)
        recognizer.distractors.put(
            [
                Item(number, "", None, embedding, empty)
                for number, embedding in zip(arrays["numbers"].tolist(), arrays["embeddings"], strict=True)
            ]
        )
