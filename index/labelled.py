"""Queries that somebody has said the right answer to, and what a gallery may learn from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from index.ranking import SAME_PHOTO
from index.recognizer import Recognizer
from index.verification import LocalFeatures

__all__ = ["FEWEST_KNOWN", "LabelledQueries", "Lessons", "lessons"]

FEWEST_KNOWN = 32
"""Labelled queries of known things from which on they say more than the gallery's own photos do
(`benchmarks.labelled_queries`)."""


@dataclass(frozen=True, slots=True)
class LabelledQueries:
    """Queries whose right label is known.

    Attributes:
        embeddings: (n, d).
        labels: (n,); one that is not in the gallery makes a query of an unknown thing.
        local: (n,) local features, where verification is wanted.
    """

    embeddings: NDArray[np.float32]
    labels: Sequence[str]
    local: Sequence[LocalFeatures | None] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, chosen: NDArray[np.bool_]) -> LabelledQueries:
        """Some of them; `chosen` (n,)."""
        at = np.flatnonzero(chosen).tolist()
        local = None if self.local is None else [self.local[one] for one in at]
        return LabelledQueries(self.embeddings[chosen], [self.labels[one] for one in at], local)


@dataclass(frozen=True, slots=True)
class Lessons:
    """What labelled queries are good for: the arguments of `index.tuner.tune`.

    Attributes:
        labelled: to choose by and to fit the confidence on; None where the gallery had better ask itself.
        strangers: of unknown things, where `labelled` is None: for the threshold alone.
    """

    labelled: LabelledQueries | None = None
    strangers: LabelledQueries | None = None


def lessons(recognizer: Recognizer, labelled: LabelledQueries | None) -> Lessons:
    """Sort labelled queries. Those of photos that were enrolled since are left out: they would find themselves."""
    if labelled is None or len(labelled) == 0 or len(recognizer) == 0:
        return Lessons()
    nearest, _ = recognizer.index.search(labelled.embeddings, 1)
    fresh = labelled.where(nearest[:, 0] < SAME_PHOTO)
    held = recognizer.labels()
    known = np.array([label in held for label in fresh.labels], np.bool_)
    if known.sum() >= FEWEST_KNOWN:
        return Lessons(labelled=fresh)
    strangers = fresh.where(~known)
    return Lessons(strangers=strangers if len(strangers) else None)
