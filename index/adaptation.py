"""What a gallery does to embeddings before it compares them: centring, and within-class covariance normalisation.

Photos of one label differ by viewpoint, light and background. Directions in which they differ much say little about
the label, so each is divided by its within-label spread before cosines are taken. And where all queries differ from all
that is enrolled, as snapshots do from clean pictures of products, the mean of each side is taken away first.

Source: Hatch, Kajarekar and Stolcke, Within-class covariance normalization for SVM-based speaker recognition
(Interspeech 2006): W = S^(-1/2), S the pooled within-label covariance, here shrunk towards a multiple of the identity.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["AdaptedQuery", "Adaptation", "Centres", "WithinLabelScatter", "centred", "fit_adaptation"]

Floats = NDArray[np.float64]

_LEAST_LENGTH = 1e-12


@dataclass(frozen=True, eq=False)
class Centres:
    """Where each side's photos lie.

    Attributes:
        gallery: mean of the labels' means, (d,) float32.
        queries: mean of the queries, (d,) float32.
    """

    gallery: NDArray[np.float32]
    queries: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class AdaptedQuery:
    """A query, ready to be compared with photos that are not adapted.

    With M as matrix, q as the query, x as a photo and a, b as the centres of their sides, the cosine of M(q - a) and
    M(x - b) is (<direction, x> - offset) / |M(x - b)|, where direction = MM(q - a) / |M(q - a)| and offset =
    <direction, b>. So what has to be known of a photo is one length, which no query changes.

    Attributes:
        unit: M(q - a) at unit length, (d,): to be compared with what is photographed as queries are.
        direction: (d,).
        offset: 0 without centres.
    """

    unit: Floats
    direction: Floats
    offset: float = 0.0

    @classmethod
    def plain(cls, vector: NDArray[np.floating]) -> AdaptedQuery:
        """A unit vector (d,) where nothing is adapted."""
        wide = vector.astype(np.float64)
        return cls(wide, wide)

    @property
    def probe(self) -> NDArray[np.float32]:
        """What to search an index of vectors that are not adapted for, (d,), to find those nearest after adaptation:
        the direction at unit length. The lengths of photos differ little."""
        return np.asarray(self.direction / max(float(np.linalg.norm(self.direction)), _LEAST_LENGTH), np.float32)


@dataclass(frozen=True, eq=False)
class Adaptation:
    """A shift and a linear map of embeddings, after which they are brought back to unit length.

    Attributes:
        matrix: (d, d) float32, symmetric.
        centres: what is taken away first; None for nothing.
    """

    matrix: NDArray[np.float32]
    centres: Centres | None = None

    def apply(self, vectors: NDArray[np.floating]) -> Floats:
        """Map the gallery's embeddings (n, d) to (n, d), rows of unit length."""
        return self.measured(vectors)[0]

    def measured(self, vectors: NDArray[np.floating]) -> tuple[Floats, Floats]:
        """`apply`, and the lengths (n,) that the rows had before they were brought to unit length.

        In single precision: a large gallery maps all of its photos, and what it learns asks for many more.
        """
        narrow = np.asarray(vectors, np.float32)
        moved = (narrow if self.centres is None else narrow - self.centres.gallery) @ self.matrix
        return _unit(moved.astype(np.float64))

    def apply_to_queries(self, vectors: NDArray[np.floating]) -> Floats:
        """The same of queries (n, d), and of distractors: they are photographed as queries are."""
        return _unit(self._from_query(vectors) @ self._wide)[0]

    def query(self, vector: NDArray[np.floating]) -> AdaptedQuery:
        """A query (d,) as it is compared with photos."""
        moved = self._from_query(vector) @ self._wide
        unit = moved / max(float(np.linalg.norm(moved)), _LEAST_LENGTH)
        direction = unit @ self._wide
        offset = 0.0 if self.centres is None else float(direction @ self.centres.gallery.astype(np.float64))
        return AdaptedQuery(unit, direction, offset)

    def same_as(self, other: Adaptation | None) -> bool:
        """Whether both do the same, to the bit."""
        return other is not None and self.to_bytes() == other.to_bytes()

    def _from_query(self, vectors: NDArray[np.floating]) -> Floats:
        wide = vectors.astype(np.float64)
        return wide if self.centres is None else wide - self.centres.queries

    @cached_property
    def _wide(self) -> Floats:
        return self.matrix.astype(np.float64)

    def to_bytes(self) -> bytes:
        """Little-endian float32: the upper triangle row by row, d * (d + 1) / 2 numbers, and the centres, gallery
        first, if there are any."""
        triangle = self.matrix[np.triu_indices(len(self.matrix))].astype("<f4").tobytes()
        if self.centres is None:
            return triangle
        return triangle + self.centres.gallery.astype("<f4").tobytes() + self.centres.queries.astype("<f4").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes, dim: int) -> Adaptation:
        """The inverse of `to_bytes`.

        Raises:
            ValueError: not as many numbers as `dim` asks for, or one that is not finite.
        """
        numbers = np.frombuffer(data, "<f4")
        triangle = dim * (dim + 1) // 2
        if len(numbers) not in {triangle, triangle + 2 * dim}:
            raise ValueError(f"{len(numbers)} numbers are not the upper triangle of a {dim} x {dim} matrix")
        if not np.isfinite(numbers).all():
            raise ValueError("an adaptation with a number that is not finite")
        matrix = np.zeros((dim, dim), np.float32)
        rows, columns = np.triu_indices(dim)
        matrix[rows, columns] = numbers[:triangle]
        matrix[columns, rows] = numbers[:triangle]
        means = numbers[triangle:].astype(np.float32)
        return cls(matrix, Centres(means[:dim], means[dim:]) if len(means) else None)


def centred(adaptation: Adaptation | None, centres: Centres) -> Adaptation:
    """The same map after taking the centres away; without one, that alone."""
    matrix = np.eye(len(centres.gallery), dtype=np.float32) if adaptation is None else adaptation.matrix
    return Adaptation(matrix, centres)


@dataclass(frozen=True, slots=True)
class WithinLabelScatter:
    """Sums over groups of photos that show one thing each; sums of disjoint sets of groups can be added.

    Attributes:
        scatter: (d, d), sum of (x - mean of its group)(x - mean of its group)^T.
        freedom: photos minus groups, of groups with two or more photos.
    """

    scatter: Floats
    freedom: int

    @classmethod
    def of(cls, groups: Iterable[NDArray[np.floating]], dim: int) -> WithinLabelScatter:
        """From groups (n_i, d); a group of one says nothing."""
        scatter = np.zeros((dim, dim))
        freedom = 0
        for group in groups:
            if len(group) < 2:
                continue
            centred = group.astype(np.float64) - group.astype(np.float64).mean(axis=0)
            scatter += centred.T @ centred
            freedom += len(group) - 1
        return cls(scatter, freedom)

    def __add__(self, other: WithinLabelScatter) -> WithinLabelScatter:
        return WithinLabelScatter(self.scatter + other.scatter, self.freedom + other.freedom)

    @classmethod
    def total(cls, parts: Sequence[WithinLabelScatter], dim: int) -> WithinLabelScatter:
        """The sum of several."""
        total = cls(np.zeros((dim, dim)), 0)
        for part in parts:
            total = total + part
        return total


def fit_adaptation(scatter: WithinLabelScatter, shrinkage: float) -> Adaptation | None:
    """S^(-1/2) of the shrunk covariance, scaled to a largest factor of 1; None when the scatter says nothing.

    Args:
        scatter: of the gallery.
        shrinkage: share of the identity, above 0, at most 1. Where photos are few most directions have shown no
            spread at all, and this share is all that they are divided by: so little data moves little.
    """
    if scatter.freedom == 0:
        return None
    covariance = scatter.scatter / scatter.freedom
    level = float(np.trace(covariance)) / len(covariance)
    if level <= 0:
        return None
    covariance = (1 - shrinkage) * covariance + shrinkage * level * np.eye(len(covariance))
    variances, directions = np.linalg.eigh(covariance)
    # None is smaller than the identity's part, but for rounding, which may put one below 0.
    variances = np.maximum(variances, shrinkage * level)
    factors = np.sqrt(variances[0] / variances)
    matrix = (directions * factors) @ directions.T
    # BLAS may round the two halves differently, and only one of them is kept on disk.
    return Adaptation(((matrix + matrix.T) / 2).astype(np.float32))


def _unit(rows: Floats) -> tuple[Floats, Floats]:
    """Rows (n, d) at unit length, but for one of nothing, which stays nothing; and what they were divided by, (n,)."""
    lengths = np.maximum(np.linalg.norm(rows, axis=1), _LEAST_LENGTH)
    return np.asarray(rows / lengths[:, None], np.float64), np.asarray(lengths, np.float64)
