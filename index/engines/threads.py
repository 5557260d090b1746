"""How many threads a search takes."""

from __future__ import annotations

import faiss

__all__ = ["use_threads"]

_ALL = faiss.omp_get_max_threads()
_WORTH_IT = 50_000
"""Vectors looked at in one call that several threads get through sooner than they can meet. For fewer, a second thread
gains little, and where it has to wait for a processor the whole search waits with it: 4 ms in place of 0.1."""


def use_threads(queries: int, looked_at: int) -> None:
    """Set the number for the calling thread's next FAISS call, in which each of `queries` is compared with `looked_at`.

    A single query gets one: FAISS splits the vectors of a flat index among threads, and that took 45 ms of processor
    time in place of 10 (100,000 vectors, two threads).
    """
    faiss.omp_set_num_threads(_ALL if queries > 1 and queries * looked_at > _WORTH_IT else 1)
