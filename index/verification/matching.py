"""Which features of two photos look alike: nearest neighbours clearly nearer than the next (Lowe 2004, section 7.1)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from index.verification.errors import FeaturesMismatch
from index.verification.features import LocalFeatures

__all__ = ["Pairs", "alike", "refuse_mixed"]

Pairs = NDArray[np.int64]
"""(m, 2): row of the query's feature, row of the gallery's."""

_RATIO = 0.85


def alike(query: LocalFeatures, gallery: LocalFeatures, *, ratio: float = _RATIO, mutual: bool = True) -> Pairs:
    """Pairs of features, one of each photo, in the query's order.

    Args:
        ratio: the nearest must lie below this share of the distance of the next nearest.
        mutual: each must be the nearest of the other; else several features of the query may pair with one.

    Raises:
        FeaturesMismatch: they were extracted by two methods.
    """
    refuse_mixed(query, gallery)
    if len(query) == 0 or len(gallery) < 2:
        return np.empty((0, 2), np.int64)
    distances = _squared_distances(query.descriptors, gallery.descriptors)
    rows = np.arange(len(query))
    nearest = distances.argmin(axis=1)
    least = distances[rows, nearest]
    kept = np.ones(len(query), np.bool_)
    if mutual:
        kept = distances.argmin(axis=0)[nearest] == rows
    distances[rows, nearest] = np.inf
    kept &= least < np.float32(ratio * ratio) * distances.min(axis=1)
    return np.stack([rows[kept], nearest[kept]], axis=1)


def refuse_mixed(query: LocalFeatures, gallery: LocalFeatures) -> None:
    """Raises: FeaturesMismatch: two photos' features were extracted by two methods."""
    if query.method != gallery.method or query.descriptors.shape[1] != gallery.descriptors.shape[1]:
        raise FeaturesMismatch(
            f"features by {query.method!r} cannot be compared with features by {gallery.method!r}; "
            "`whichone index refresh` extracts those of a gallery anew",
            query=query.method,
            gallery=gallery.method,
        )


def _squared_distances(queries: NDArray[np.uint8], gallery: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(q, g). Every sum is a whole number below 2**24 for up to 128 bytes a descriptor, hence exact in float32: the
    same on every machine, in any order of summing."""
    a, b = queries.astype(np.float32), gallery.astype(np.float32)
    # OpenCV's product stays in this thread. NumPy's asks other threads for help, and for matrices this small waits
    # for them longer than the work takes: 16 ms instead of 0.8 where every core is busy.
    distances = np.asarray(cv2.gemm(a, b, -2.0, np.empty(0), 0.0, flags=cv2.GEMM_2_T), np.float32)
    distances += np.einsum("ij,ij->i", a, a)[:, None]
    distances += np.einsum("ij,ij->i", b, b)[None, :]
    return distances
