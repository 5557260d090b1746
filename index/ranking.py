"""From neighbours to ranked labels.

Neighbours only nominate: each label that one of them carries is then scored over all its photos, so the answer does not
depend on how many neighbours a search engine happened to return, nor on how the index is split into parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["NEIGHBOURS", "PROTOTYPE_WEIGHT", "SAME_PHOTO", "LabelPhotos", "RankedLabel", "margins", "rank_labels"]

NEIGHBOURS = 128
"""Photos that nominate labels."""

PROTOTYPE_WEIGHT = 0.7
"""Share of the prototype in a label's score; the rest is its most similar photo. Chosen on validation photos
(docs/benchmarks.md): the mean of a label's photos beats the best single one, and keeping some of the best photo serves
labels that look different from different sides."""


SAME_PHOTO = 1 - 1e-4
"""Cosine from which two embeddings are those of one picture. This is no threshold on likeness, but the room that
rounding needs (another processor): to save a picture once more as a fine JPEG takes it further away than that."""


@dataclass(frozen=True, slots=True)
class LabelPhotos:
    """The photos of one label: numbers (n,) ascending and embeddings (n, d)."""

    label: str
    numbers: NDArray[np.int64]
    vectors: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RankedLabel:
    """A label's score for one query, and the cosine of each of its photos (n,)."""

    label: str
    score: float
    numbers: NDArray[np.int64]
    similarities: NDArray[np.float64]

    @property
    def holds_query(self) -> bool:
        """Whether the query is one of the label's own photos."""
        return bool(self.similarities.max() >= SAME_PHOTO)


def rank_labels(
    query: NDArray[np.float32], photos: Sequence[LabelPhotos], *, prototype_weight: float = PROTOTYPE_WEIGHT
) -> list[RankedLabel]:
    """Score each label for a query, best first; equal scores in the order of the labels' names.

    Score: (1 - w) * (cosine to the label's most similar photo) + w * (cosine to the mean of its photos).

    Args:
        query: (d,) unit length.
        photos: the nominated labels, each with at least one photo.
    """
    wide = query.astype(np.float64)
    ranked = []
    for label in photos:
        # einsum, not BLAS: the same digits whatever stands beside a row in the matrix.
        similarities = np.einsum("nd,d->n", label.vectors, wide)
        mean = label.vectors.mean(axis=0)
        to_prototype = float(np.einsum("d,d->", mean, wide) / max(float(np.linalg.norm(mean)), 1e-12))
        score = (1 - prototype_weight) * float(similarities.max()) + prototype_weight * to_prototype
        ranked.append(RankedLabel(label.label, score, label.numbers, similarities))
    return sorted(ranked, key=lambda entry: (-entry.score, entry.label))


def margins(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each score stands above the best of the others, shape (n,); 0 for a label that stands alone."""
    if len(scores) < 2:
        return np.zeros(len(scores))
    order = np.argsort(-scores, kind="stable")
    best_other = np.full(len(scores), scores[order[0]])
    best_other[order[0]] = scores[order[1]]
    return np.asarray(scores - best_other, np.float64)
