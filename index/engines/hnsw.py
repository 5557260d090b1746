"""The neighbour graph: what it is built from, and how it is searched."""

from __future__ import annotations

import faiss
import numpy as np

from index.engines.protocol import Vectors
from index.engines.scalar import QUANTIZERS
from index.engines.spec import HnswSpec

__all__ = ["hnsw_class", "hnsw_parameters", "train_hnsw"]


def hnsw_class(spec: HnswSpec) -> type:
    """The FAISS class that holds such a graph."""
    return faiss.IndexHNSWFlat if spec.storage == "float32" else faiss.IndexHNSWSQ  # type: ignore[no-any-return]


def train_hnsw(spec: HnswSpec, dim: int, sample: Vectors) -> faiss.Index:
    """An empty graph."""
    if spec.storage == "float32":
        index = faiss.IndexHNSWFlat(dim, spec.m, faiss.METRIC_INNER_PRODUCT)
    else:
        index = faiss.IndexHNSWSQ(dim, QUANTIZERS[spec.storage], spec.m, faiss.METRIC_INNER_PRODUCT)
        index.train(np.ascontiguousarray(sample, np.float32))
    index.hnsw.efConstruction = spec.construction
    return index


def hnsw_parameters(
    spec: HnswSpec, selector: faiss.IDSelector | None, widen: float, asked: int
) -> faiss.SearchParameters:
    """How to search; `widen` times as many candidates where a selection passes over most, and no fewer than asked."""
    parameters = faiss.SearchParametersHNSW(efSearch=max(int(spec.ef * widen), asked))
    if selector is not None:
        parameters.sel = selector
    return parameters
