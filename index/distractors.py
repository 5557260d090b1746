"""Photos of things that are in no gallery, and how much a vector resembles them: the penalty.

Source: the non-landmark statistic of the Google Landmark Recognition 2020 winner (arXiv 2010.01650, section 3.4):
B_j = mean of the top-k cosines between j and the non-landmark photos. There it is subtracted when ranking; here it is
evidence for the confidence (`index.calibration`), because subtracting it when ranking lowers the share of right
answers (docs/quality.md); `Ranking.item_penalty` does so all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from index.items import Item

__all__ = ["TOP_K", "Distractors", "mean_of_top", "mean_top_k"]

TOP_K = 5
_ROWS_AT_ONCE = 4096
_COSINES_AT_ONCE = 1 << 24
"""128 MB, however many distractors there are."""


def mean_top_k(vectors: NDArray[np.floating], others: NDArray[np.floating], k: int = TOP_K) -> NDArray[np.float64]:
    """Mean cosine of each of `vectors` (n, d) to its k nearest of `others` (m, d), shape (n,).

    Fewer than k others: the mean over all of them. None at all: 0.
    """
    if len(others) == 0:
        return np.zeros(len(vectors))
    wide = others.T.astype(np.float64, copy=False)
    means = np.empty(len(vectors))
    rows = max(1, min(_ROWS_AT_ONCE, _COSINES_AT_ONCE // len(others)))
    for start in range(0, len(vectors), rows):
        similarities = vectors[start : start + rows].astype(np.float64) @ wide
        means[start : start + rows] = _means_of_top(similarities, k)
    return means


def mean_of_top(similarities: NDArray[np.float64], k: int = TOP_K) -> float:
    """The mean of the k highest of `similarities` (m,): of all, where they are fewer; 0 where there are none."""
    return float(_means_of_top(similarities[None], k)[0]) if len(similarities) else 0.0


def _means_of_top(similarities: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    k = min(k, similarities.shape[1])
    return np.asarray(np.partition(similarities, -k, axis=1)[:, -k:].mean(axis=1), np.float64)


class Distractors:
    """The distractors of one gallery.

    Args:
        dim: width of the embeddings.
    """

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._rows: dict[int, NDArray[np.float32]] = {}
        self._matrix: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, number: int) -> bool:
        return number in self._rows

    def put(self, items: Sequence[Item]) -> None:
        for item in items:
            self._rows[item.number] = item.embedding
        if items:  # what is computed from the matrix is kept as long as it is the same
            self._matrix = None

    def discard(self, numbers: Iterable[int]) -> bool:
        """Forget distractors; says whether any of `numbers` was one."""
        gone = [number for number in numbers if self._rows.pop(number, None) is not None]
        if gone:
            self._matrix = None
        return bool(gone)

    def numbers(self) -> NDArray[np.int64]:
        """Ascending, shape (m,)."""
        return np.array(sorted(self._rows), np.int64)

    def matrix(self) -> NDArray[np.float32]:
        """Their embeddings in the order of `numbers`, shape (m, d)."""
        if self._matrix is None:
            rows = [self._rows[number] for number in sorted(self._rows)]
            self._matrix = np.stack(rows) if rows else np.empty((0, self._dim), np.float32)
        return self._matrix

    def penalties(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Penalty of each of `vectors` (n, d): its mean top-5 cosine to the distractors, shape (n,)."""
        return mean_top_k(vectors, self.matrix())
