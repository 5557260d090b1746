"""mAP@k of retrieval: are all photos of the same thing near, and first?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["map_at"]

_ROWS_AT_ONCE = 512


def map_at(vectors: NDArray[np.float32], labels: Sequence[str], k: int = 100) -> float:
    """Mean over photos of ``(1 / min(m, k)) * sum_i P(i) * rel(i)`` over the k nearest others, each photo a query.

    P(i): precision among the first i; rel(i): 1 where the i-th has the query's label; m: the others of that label.
    Source: Weyand et al., "Google Landmarks Dataset v2" (CVPR 2020), section 4.1. As in
    `index.evaluation.retrieval.recall_at`, a photo whose label has no other counts as 0, and of equally near photos
    those of other labels count as nearer.

    Args:
        vectors: (n, d) unit rows.
        labels: (n,).
        k: at least 1.

    Returns:
        0..1; nan without photos.
    """
    if not len(vectors):
        return float("nan")
    codes = np.unique(np.asarray(labels), return_inverse=True)[1]
    rows = [_precisions(vectors, codes, at, k) for at in range(0, len(vectors), _ROWS_AT_ONCE)]
    return float(np.concatenate(rows).mean())


def _precisions(vectors: NDArray[np.float32], codes: NDArray[np.intp], start: int, k: int) -> NDArray[np.float64]:
    """The average precision of some of the photos."""
    rows = np.arange(start, min(start + _ROWS_AT_ONCE, len(vectors)))
    similarities = vectors[rows] @ vectors.T
    same = codes[rows][:, None] == codes[None]
    similarities = np.where(same, np.nextafter(similarities, np.float32(-2)), similarities)
    similarities[np.arange(len(rows)), rows] = -np.inf
    same[np.arange(len(rows)), rows] = False
    relevant = np.take_along_axis(same, _nearest(similarities, k), axis=1)
    precision = np.cumsum(relevant, axis=1) / np.arange(1, relevant.shape[1] + 1)
    possible = np.minimum(same.sum(axis=1), k)
    return np.asarray((precision * relevant).sum(axis=1) / np.maximum(possible, 1))


def _nearest(similarities: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """(rows, at most k) positions, nearest first."""
    k = min(k, similarities.shape[1])
    best = np.argpartition(-similarities, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(similarities, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)
