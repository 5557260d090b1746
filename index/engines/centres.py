"""The centres of inverted lists, and how those nearest to a query are found.

Few centres are all compared with the query. Of thousands that takes longer than looking through the lists, so they are
held twice: in codes of four bits, which FAISS's fast scan goes through from registers (André, Kermarrec and Le
Scouarnec, 2017), and in float16, with which the best of these are compared again.
"""

from __future__ import annotations

import faiss
import numpy as np

__all__ = ["MANY", "centre_bytes", "centre_parameters", "centres_index"]

MANY = 2_048
"""Centres from which on codes pay for themselves."""

_VALUES_A_CODE = 2
_BITS = 4
_ROUNDS = 8

_FACTOR_TO_ADD = 64
"""The list that a vector is put into is that of its nearest centre in 998 of 1,000 cases."""

_FACTOR_TO_SEARCH = 16
_COMPARED = 256
"""Centres compared again, about, where many lists are probed: the codes hardly ever misjudge so far."""


def centres_index(centres: faiss.IndexFlatIP) -> faiss.Index:
    """The same centres with codes before them, if they are many and their dimension is even; else themselves."""
    if centres.ntotal < MANY or centres.d % _VALUES_A_CODE:
        return centres
    vectors = centres.reconstruct_n(0, centres.ntotal)
    codes = faiss.IndexPQFastScan(centres.d, centres.d // _VALUES_A_CODE, _BITS, faiss.METRIC_INNER_PRODUCT)
    codes.pq.cp.niter = _ROUNDS
    codes.train(vectors)
    codes.add(vectors)
    exact = faiss.IndexScalarQuantizer(centres.d, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    exact.is_trained = True  # halves of floats need nothing learned
    exact.add(vectors)
    both = faiss.IndexRefine(codes, exact)
    both.k_factor = _FACTOR_TO_ADD
    for part in (codes, exact):
        part.this.disown()
    both.own_fields = both.own_refine_index = True
    return both


def centre_parameters(probes: int) -> faiss.SearchParameters:
    """How to look for the `probes` nearest centres; makes no difference where all are compared."""
    return faiss.IndexRefineSearchParameters(k_factor=min(_FACTOR_TO_SEARCH, max(2, _COMPARED / probes)))


def centre_bytes(index: faiss.IndexIVF) -> int:
    """What searches go through to find centres."""
    each = index.d * np.dtype(np.float32).itemsize
    if isinstance(faiss.downcast_index(index.quantizer), faiss.IndexRefine):
        each = index.d * np.dtype(np.float16).itemsize + index.d // _VALUES_A_CODE * _BITS // 8
    return int(index.nlist * each)
