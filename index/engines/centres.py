"""The centres of inverted lists, and how the nearest of them are found.

Few centres are all compared. Of thousands that takes longer than looking through the lists, so they are held twice: in
codes of four bits, which FAISS's fast scan goes through from registers (André, Kermarrec and Le Scouarnec, 2017), and
in float16, with which the best of these are compared again. A random rotation comes before the codes, or those of
directions that vary little would be wasted and those of the others too coarse (Jégou and others, 2010).
"""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np

from index.engines.protocol import Vectors

__all__ = ["MANY", "centre_bytes", "centre_finder", "centre_learner", "centre_parameters"]

MANY = 2_048
"""Centres from which on codes pay for themselves."""

_BITS = 4
_VALUES_A_CODE = 4
_ROUNDS = 8
_SEED = 20_240_501

_FACTOR_TO_LEARN = 16
_FACTOR_TO_FILL = 32
_FACTOR_TO_SEARCH = 32
_FACTOR_OF_MANY = 4
_COMPARED = 512
"""Centres compared again, about, where many lists are probed: the codes hardly ever misjudge so far."""


def centre_learner(dim: int, count: int) -> faiss.Index:
    """What k-means looks for the nearest of `count` centres with, before any are added.

    It does without the rotation: of a million vectors in 16,384 lists, 3 of 100 are then taken for those of another
    centre, and what comes of it is as good as with all centres compared, and evener, in a quarter of the time.
    """
    return _in_codes(dim, _FACTOR_TO_LEARN, rotated=False) if _many(dim, count) else faiss.IndexFlatIP(dim)


def centre_finder(centres: Vectors) -> faiss.Index:
    """What finds the nearest of `centres` (n, d): for a vector the list it belongs to, for a query those to probe."""
    count, dim = centres.shape
    finder = _in_codes(dim, _FACTOR_TO_FILL, rotated=True) if _many(dim, count) else faiss.IndexFlatIP(dim)
    finder.train(centres)
    finder.add(centres)
    return finder


def centre_parameters(probes: int) -> faiss.SearchParameters:
    """How to look for the `probes` nearest centres; makes no difference where all are compared."""
    return faiss.IndexRefineSearchParameters(k_factor=min(_FACTOR_TO_SEARCH, max(_FACTOR_OF_MANY, _COMPARED / probes)))


def centre_bytes(index: faiss.IndexIVF) -> int:
    """What searches go through to find centres."""
    each = index.d * np.dtype(np.float32).itemsize
    if isinstance(faiss.downcast_index(index.quantizer), faiss.IndexRefine):
        each = index.d * np.dtype(np.float16).itemsize + index.d // _VALUES_A_CODE * _BITS // 8
    return int(index.nlist * each)


def _many(dim: int, count: int) -> bool:
    return count >= MANY and dim % _VALUES_A_CODE == 0


def _in_codes(dim: int, factor: float, *, rotated: bool) -> faiss.Index:
    codes = faiss.IndexPQFastScan(dim, dim // _VALUES_A_CODE, _BITS, faiss.METRIC_INNER_PRODUCT)
    codes.pq.cp.niter = _ROUNDS
    exact = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    exact.is_trained = True  # halves of floats need nothing learned
    both = faiss.IndexRefine(_rotated(codes) if rotated else _given_away(codes), _given_away(exact))
    both.own_fields = both.own_refine_index = True
    both.k_factor = factor
    return both


def _rotated(index: faiss.Index) -> faiss.Index:
    rotation = faiss.RandomRotationMatrix(index.d, index.d)
    rotation.init(_SEED)
    both = faiss.IndexPreTransform(_given_away(rotation), _given_away(index))
    both.own_fields = True
    return _given_away(both)


def _given_away(part: Any) -> Any:
    """To another, which frees it."""
    part.this.disown()
    return part
