"""The centres of inverted lists, and how the nearest of them are found.

Few centres are all compared. Of thousands that takes longer than looking through the lists, so they are held twice: in
codes of four bits, which FAISS's fast scan goes through from registers (André, Kermarrec and Le Scouarnec, 2017), and
in float16, with which the best of these are compared again. Where the leading half of the directions holds nearly all,
the codes are of that half, two values each: they err less than those of all directions, four values each, in less time
(figures in docs/adr/0005).
"""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np

from index.engines.leading import leading_directions, leading_share, transformed
from index.engines.protocol import Vectors

__all__ = ["MANY", "centre_bytes", "centre_finder", "centre_learner", "centre_parameters"]

MANY = 2_048
"""Centres from which on codes pay for themselves."""

_BITS = 4
_DIMS_A_CODE = 4
"""Of a vector in full; two of its leading half."""

_ENOUGH = 0.85
"""Share of squared lengths in the leading half of the directions; of embeddings it is .9 and more, of noise .5."""

_ROUNDS = 8

_FACTOR_TO_LEARN = 16
_FACTOR_TO_FILL = 32
_FACTOR_TO_SEARCH = 32
_FACTOR_OF_MANY = 4
_COMPARED = 512
"""Centres compared again, about, where many lists are probed: the codes hardly ever misjudge so far."""


def centre_learner(dim: int, count: int) -> faiss.Index:
    """What k-means looks for the nearest of `count` centres with, before any are added.

    It takes all directions as they are: of a million vectors in 16,384 lists, 3 of 100 are then taken for those of
    another centre, and what comes of it is as good as with all centres compared, and evener, in a quarter of the time.
    """
    if not _many(dim, count):
        return faiss.IndexFlatIP(dim)
    return _with_full(_given_away(_codes(dim, dim)), dim, _FACTOR_TO_LEARN)


def centre_finder(centres: Vectors) -> faiss.Index:
    """What finds the nearest of `centres` (n, d): for a vector the list it belongs to, for a query those to probe."""
    count, dim = centres.shape
    if _many(dim, count):
        coded = dim // 2 if leading_share(centres, dim // 2) >= _ENOUGH else dim
        leading = leading_directions(centres, coded, mixed=True)
        finder = _with_full(_given_away(transformed(leading, _codes(coded, dim))), dim, _FACTOR_TO_FILL)
    else:
        finder = faiss.IndexFlatIP(dim)
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
        each = index.d * np.dtype(np.float16).itemsize + index.d // _DIMS_A_CODE * _BITS // 8
    return int(index.nlist * each)


def _many(dim: int, count: int) -> bool:
    return count >= MANY and dim % _DIMS_A_CODE == 0


def _codes(dim: int, of: int) -> faiss.Index:
    """Codes of `dim` values, as many as vectors of `of` dimensions get."""
    codes = faiss.IndexPQFastScan(dim, of // _DIMS_A_CODE, _BITS, faiss.METRIC_INNER_PRODUCT)
    codes.pq.cp.niter = _ROUNDS
    return codes


def _with_full(codes: faiss.Index, dim: int, factor: float) -> faiss.Index:
    exact = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    exact.is_trained = True  # halves of floats need nothing learned
    both = faiss.IndexRefine(codes, _given_away(exact))
    both.own_fields = both.own_refine_index = True
    both.k_factor = factor
    return both


def _given_away(part: Any) -> Any:
    """To another, which frees it."""
    part.this.disown()
    return part
