"""From neighbours to ranked labels.

Neighbours only nominate: each label that one of them carries is then scored over all its photos, so the answer does not
depend on how many neighbours a search engine happened to return, nor on how the index is split into parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from index.pipeline import Ranking
from index.ranking.aggregation import aggregate, mean, needs_prototype

__all__ = ["NEIGHBOURS", "SAME_PHOTO", "LabelPhotos", "RankedLabel", "margins", "rank_labels"]

NEIGHBOURS = 128
"""Photos that nominate labels."""

SAME_PHOTO = 1 - 1e-4
"""Cosine from which two embeddings are those of one picture. This is no threshold on likeness, but the room that
rounding needs (another processor): to save a picture once more as a fine JPEG takes it further away than that."""

_SHIPPED: Final = Ranking()

_SHORTEST = 1e-12
"""Least length of a mean to divide by: photos that cancel out have no direction, and a cosine of 0 to everything."""


@dataclass(frozen=True)
class LabelPhotos:
    """The photos of one label. What is computed from them is kept as long as they are.

    Attributes:
        label: its name.
        numbers: (n,) ascending.
        vectors: (n, d) embeddings, as the bundle made them.
        penalties: (n,) how much each photo resembles what is not its label (`index.ranking.penalties`); None is 0.
        lengths: (n,) of the photos once they are adapted (`index.adaptation.AdaptedQuery`); None where nothing is.
        mean_length: of the mean of the adapted photos, each of unit length: the prototype before it is scaled to unit
            length itself. Needed beside `lengths`, and computed without them.
    """

    label: str
    numbers: NDArray[np.int64]
    vectors: NDArray[np.float64]
    penalties: NDArray[np.float64] | None = None
    lengths: NDArray[np.float64] | None = None
    mean_length: float | None = None

    def cosines(self, query: NDArray[np.float64], offset: float) -> NDArray[np.float64]:
        """Of a query's direction (d,) and offset to each photo, (n,), to the bit whatever stands beside a photo."""
        products = np.einsum("nd,d->n", self.vectors, query)  # not BLAS, which would round by the matrix's size
        if self.lengths is None:
            return np.asarray(products, np.float64)
        # Lengths are of single precision: the same photo could come out longer than itself.
        return np.asarray(np.minimum((products - offset) / self.lengths, 1), np.float64)

    @cached_property
    def prototype_length(self) -> float:
        """What to divide the mean of cosines by, to have the cosine to the prototype."""
        if self.mean_length is None:
            return max(float(np.linalg.norm(self.vectors.mean(axis=0))), _SHORTEST)
        return max(self.mean_length, _SHORTEST)

    @cached_property
    def mean_penalty(self) -> float:
        """The prototype's penalty: that of the photos, on average."""
        return 0.0 if self.penalties is None else float(self.penalties.mean())


@dataclass(frozen=True, slots=True)
class RankedLabel:
    """A label's score for one query.

    Attributes:
        label: its name.
        score: from its photos, and from verification where there was any.
        numbers: (n,) its photos.
        similarities: (n,) cosine of each.
        match_evidence: what its best verified photo says (`index.promotion`); 0 without any.
        presence: the score as far as it says that the thing is there at all, whatever its label; None for all of it.
    """

    label: str
    score: float
    numbers: NDArray[np.int64]
    similarities: NDArray[np.float64]
    match_evidence: float = 0.0
    presence: float | None = None


def rank_labels(
    query: NDArray[np.floating], photos: Sequence[LabelPhotos], ranking: Ranking = _SHIPPED, *, offset: float = 0.0
) -> list[RankedLabel]:
    """Score each label for a query, best first; equal scores in the order of the labels' names.

    A label's score comes from its own photos alone (`index.ranking.aggregation`), to the bit, whatever other labels are
    scored beside it.

    Args:
        query: (d,) unit length; where photos are adapted the query's `direction`, with its `offset`
            (`index.adaptation.AdaptedQuery`).
        photos: the nominated labels, each with at least one photo.
        ranking: how the photos of a label become its score. Expansion happens before, to the query.
    """
    wide = query.astype(np.float64)
    share = ranking.item_penalty
    with_prototype = needs_prototype(ranking)
    ranked = []
    for label in photos:
        similarities = label.cosines(wide, offset)
        # The mean of the cosines to unit vectors is the product with their mean.
        to_prototype = mean(similarities) / label.prototype_length if with_prototype else 0.0
        if share and label.penalties is not None:
            score = aggregate(
                similarities - share * label.penalties, to_prototype - share * label.mean_penalty, ranking
            )
        else:
            score = aggregate(similarities, to_prototype, ranking)
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
