"""The centres of many lists: spherical k-means that compares a vector with the centres of its neighbourhood alone.

Lloyd's algorithm compares each vector with each centre in every round; with 16,384 centres that is three quarters of
what building an index of a million takes. Here vectors are put into groups once, by a k-means with few centres, and a
round compares those of a group with the centres that lie nearest to the group. So many of them that hardly a vector
misses its own: lists then hold what lists of the full algorithm hold (docs/adr/0005).
"""

from __future__ import annotations

import faiss
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from index.engines.protocol import Vectors
from index.engines.threads import use_threads

__all__ = ["learn_centres", "means"]

_NEAR = 16
"""Centres that a vector is compared with, in roots of their number: at 16,384 one in eight."""

_GROUP_SAMPLE = 64
_SHIFT = 1 / 1024


def learn_centres(sample: Vectors, count: int, *, rounds: int, seed: int) -> Vectors:
    """Centres (count, d) of unit length for a sample (n, d) of unit vectors, n >= count: the same each time.

    Source: Dhillon and Modha, "Concept decompositions for large sparse text data using clustering" (Machine Learning,
    2001), for the spherical k-means; the neighbourhoods are ours.
    """
    groups = _Groups(sample, max(1, round(count**0.5)), seed)
    chosen = np.random.default_rng(seed).choice(len(sample), count, replace=False)
    centres = np.ascontiguousarray(sample[np.sort(chosen)])
    for _ in range(rounds):
        centres = means(sample, groups.nearest(centres), centres)
    return centres


class _Groups:
    """Vectors in groups that lie together."""

    def __init__(self, sample: Vectors, count: int, seed: int) -> None:
        self._sample = sample
        self._middles = _few_centres(sample, count, seed)
        group = _nearest(sample, self._middles)
        self._places = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group, minlength=count))[:-1])

    def nearest(self, centres: Vectors) -> NDArray[np.int64]:
        """For each vector the nearest of the centres (k, d) that lie nearest to its group, (n,)."""
        near = min(len(centres), round(_NEAR * len(centres) ** 0.5))
        likeness = self._middles @ centres.T
        found = np.empty(len(self._sample), np.int64)
        for places, row in zip(self._places, likeness, strict=True):
            if len(places):
                those = np.sort(np.argpartition(-row, near - 1)[:near])
                found[places] = those[_nearest(self._sample[places], centres[those])]
        return found


def _few_centres(sample: Vectors, count: int, seed: int) -> Vectors:
    use_threads(len(sample), count)
    means = faiss.Kmeans(
        sample.shape[1],
        count,
        spherical=True,
        seed=seed,
        niter=8,
        min_points_per_centroid=1,
        max_points_per_centroid=_GROUP_SAMPLE,
    )
    means.train(sample)
    return np.asarray(means.centroids, np.float32)


def _nearest(vectors: Vectors, centres: Vectors) -> NDArray[np.int64]:
    use_threads(len(vectors), len(centres))
    _, nearest = faiss.knn(vectors, centres, 1, metric=faiss.METRIC_INNER_PRODUCT)
    return np.asarray(nearest[:, 0], np.int64)


def means(sample: Vectors, nearest: NDArray[np.int64], centres: Vectors) -> Vectors:
    """The mean direction (k, d) of the vectors (n, d) that are `nearest` (n,) to each of the centres (k, d); a centre
    without any takes its place beside a large one, and shares its vectors in the next round."""
    rows = len(sample)
    members = csr_array((np.ones(rows, np.float32), nearest, np.arange(rows + 1)), shape=(rows, len(centres)))
    sums = np.asarray(members.T @ sample, np.float32)
    sizes = np.bincount(nearest, minlength=len(centres))
    empty = np.flatnonzero(sizes == 0)
    if len(empty):
        large = np.argsort(-sizes, kind="stable")[: len(empty)]
        apart = np.where(np.arange(sample.shape[1]) % 2, 1 - _SHIFT, 1 + _SHIFT).astype(np.float32)
        sums[empty] = sums[large] * apart
        sums[large] *= 2 - apart
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.ascontiguousarray(np.divide(sums, lengths, out=centres.copy(), where=lengths > 0))
