"""Vectors kept beside a trained index, by place: read back, refined with, and a new index built from."""

from __future__ import annotations

import faiss
import numpy as np
from numpy.typing import NDArray

from index.engines.protocol import Numbers, Vectors
from index.engines.spec import Keep

__all__ = ["empty_kept", "exact_among", "read_kept"]

Places = NDArray[np.int64]

_FLOATS_AT_ONCE = 1 << 22


def empty_kept(dim: int, keep: Keep) -> faiss.Index:
    """A FAISS index that keeps vectors in full (2 or 4 bytes a value) and gives them back by place."""
    if keep == "float32":
        return faiss.IndexFlatIP(dim)
    kept = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    kept.is_trained = True  # halves of floats need nothing learned
    return kept


def read_kept(kept: faiss.Index, places: Places) -> Vectors:
    """The vectors at `places` (n,), shape (n, d)."""
    if len(places) == 0:
        return np.empty((0, kept.d), np.float32)
    vectors: Vectors = kept.reconstruct_batch(np.ascontiguousarray(places, np.int64))
    return vectors


def exact_among(kept: faiss.Index, queries: Vectors, places: Places) -> tuple[Vectors, Numbers]:
    """All of `places` (n,), ascending, for each of `queries` (q, d): similarities and places (q, n), best first."""
    similarities = np.empty((len(queries), len(places)), np.float32)
    step = max(1, _FLOATS_AT_ONCE // kept.d)
    for start in range(0, len(places), step):
        part = places[start : start + step]
        similarities[:, start : start + len(part)] = queries @ read_kept(kept, part).T
    order = np.argsort(-similarities, axis=1, kind="stable")
    return np.take_along_axis(similarities, order, axis=1), places[order]
