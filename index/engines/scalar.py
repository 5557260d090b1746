"""Vectors in FAISS's scalar quantisers, all of them looked at."""

from __future__ import annotations

import faiss
import numpy as np

from index.engines.protocol import Vectors
from index.engines.spec import FlatSpec

__all__ = ["QUANTIZERS", "train_scalar"]

QUANTIZERS = {"float16": faiss.ScalarQuantizer.QT_fp16, "sq8": faiss.ScalarQuantizer.QT_8bit}


def train_scalar(spec: FlatSpec, dim: int, sample: Vectors) -> faiss.Index:
    """An empty index that knows the range of each dimension from `sample` (n, d)."""
    index = faiss.IndexScalarQuantizer(dim, QUANTIZERS[spec.storage], faiss.METRIC_INNER_PRODUCT)
    index.train(np.ascontiguousarray(sample, np.float32))
    return index
