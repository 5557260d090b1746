"""Changes over an index that cannot change: a read-only base, what came since, and what went since.

Any engine that searches but cannot add or delete (a memory-mapped file, a graph index) becomes one that can: what comes
is held flat beside the base, what goes is passed over by the base's own selection, and a merge builds a new base.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Lock

import numpy as np

from index.engines.building import build
from index.engines.errors import MergeUnderWay
from index.engines.flat import FlatIndex
from index.engines.locks import ReadWriteLock
from index.engines.ordering import best_of
from index.engines.protocol import BLOCK, Blocks, IndexStats, Mask, Numbers, VectorIndex, Vectors
from index.engines.selection import Selection
from index.engines.spec import EngineSpec

__all__ = ["OverlayIndex"]

_NONE = Selection.without([])


class OverlayIndex:
    """A base with later changes on top; searched as one.

    Searches, changes and one merge may run side by side: each search sees all of a change or nothing of it.

    Args:
        base: never changed by anybody.
    """

    def __init__(self, base: VectorIndex) -> None:
        self._base = base
        self._added = FlatIndex(base.dim)
        self._hidden = _NONE  # replaced, never changed: a search goes on with the one it began with
        self._lock = ReadWriteLock()
        self._merging = Lock()
        self._touched: set[int] | None = None  # numbers changed since the merge that is under way began
        self._both: tuple[Selection, Selection, Selection] = (_NONE, _NONE, _NONE)

    @property
    def dim(self) -> int:
        return self._base.dim

    @property
    def spec(self) -> EngineSpec:
        return self._base.spec

    def __len__(self) -> int:
        with self._lock.reading():
            return len(self._base) - len(self._hidden.listed) + len(self._added)

    def numbers(self) -> Numbers:
        with self._lock.reading():
            return _numbers(self._base, self._hidden, self._added)

    def contains(self, numbers: Numbers) -> Mask:
        with self._lock.reading():
            return self._contains(numbers)

    def add(self, numbers: Numbers, vectors: Vectors) -> None:
        numbers = np.asarray(numbers, np.int64)
        with self._lock.writing():
            self._added.add(numbers, vectors)
            self._hide(numbers)

    def remove(self, numbers: Iterable[int]) -> int:
        wanted = np.unique(np.fromiter(numbers, np.int64))
        with self._lock.writing():
            return self._added.remove(wanted.tolist()) + self._hide(wanted)

    def search(self, queries: Vectors, k: int, *, within: Selection | None = None) -> tuple[Vectors, Numbers]:
        with self._lock.reading():
            base, hidden = self._base, self._hidden
            added = self._added.search(queries, k, within=within) if len(self._added) else None
        similarities, numbers = base.search(queries, k, within=self._visible(hidden, within))
        if added is None:
            return similarities, numbers
        return best_of(np.concatenate([similarities, added[0]], axis=1), np.concatenate([numbers, added[1]], axis=1), k)

    def reconstruct(self, numbers: Numbers) -> Vectors:
        numbers = np.asarray(numbers, np.int64)
        with self._lock.reading():
            held = self._contains(numbers)
            if not held.all():
                raise KeyError(int(numbers[~held][0]))
            return _vectors(self._base, self._added, numbers)

    def save(self, path: Path) -> None:
        """Write base and changes as one index of the base's engine, built anew."""
        with self._lock.reading():
            base, hidden, added = self._base, self._hidden, _copy(self._added)
        build(base.spec, base.dim, _blocks(base, hidden, added)).save(path)

    def merge(self, rebuild: Callable[[Blocks], VectorIndex] | None = None) -> None:
        """Take the changes into a new base, while searches and changes go on; those changes lie over the new base.

        Args:
            rebuild: makes the new base from all vectors; None builds one of the base's engine, in memory. One that
                saves what it built and opens it again gives a memory-mapped base.

        Raises:
            MergeUnderWay: another merge has not ended.
        """
        if not self._merging.acquire(blocking=False):
            raise MergeUnderWay("this index is being merged already; ask again when that is done")
        try:
            with self._lock.writing():
                base, hidden, added = self._base, self._hidden, _copy(self._added)
                self._touched = set()
            blocks = _blocks(base, hidden, added)
            merged = build(base.spec, base.dim, blocks) if rebuild is None else rebuild(blocks)
            with self._lock.writing():
                self._lay_over(merged)
        finally:
            with self._lock.writing():
                self._touched = None
            self._merging.release()

    def stats(self) -> IndexStats:
        with self._lock.reading():
            base, added = self._base.stats(), self._added.stats()
            hidden = len(self._hidden.listed)
        return IndexStats(
            engine=base.engine,
            items=base.items - hidden + added.items,
            changes=hidden + added.items,
            memory_bytes=base.memory_bytes + added.memory_bytes + 8 * hidden,
            kept_bytes=base.kept_bytes,
            disk_bytes=base.disk_bytes,
        )

    def _lay_over(self, merged: VectorIndex) -> None:
        """Replace the base; what changed since the merge began lies over it."""
        touched = np.array(sorted(self._touched or ()), np.int64)
        later = touched[self._added.contains(touched)]
        added = FlatIndex(self.dim)
        added.add(later, self._added.reconstruct(later))
        self._base, self._added = merged, added
        self._hidden = Selection.without(touched[merged.contains(touched)])

    def _contains(self, numbers: Numbers) -> Mask:
        visible = self._base.contains(numbers) & self._hidden.among(numbers)
        return np.asarray(visible | self._added.contains(numbers), np.bool_)

    def _hide(self, numbers: Numbers) -> int:
        """Hide those of `numbers` that the base holds; returns how many were visible before."""
        if self._touched is not None:
            self._touched.update(numbers.tolist())
        seen = numbers[self._base.contains(numbers) & self._hidden.among(numbers)]
        if len(seen):
            self._hidden = Selection.without(np.concatenate([self._hidden.listed, seen]))
        return len(seen)

    def _visible(self, hidden: Selection, within: Selection | None) -> Selection | None:
        """What the base may answer with. The last pair is kept, so that the base sees the same object again."""
        if len(hidden.listed) == 0:
            return within
        if within is None:
            return hidden
        first, second, both = self._both
        if first is not hidden or second is not within:
            both = hidden & within
            self._both = (hidden, within, both)
        return both


def _numbers(base: VectorIndex, hidden: Selection, added: FlatIndex) -> Numbers:
    held = base.numbers()
    return np.union1d(held[hidden.places(held)], added.numbers())


def _vectors(base: VectorIndex, added: FlatIndex, numbers: Numbers) -> Vectors:
    vectors = np.empty((len(numbers), base.dim), np.float32)
    later = added.contains(numbers)
    vectors[later] = added.reconstruct(numbers[later])
    vectors[~later] = base.reconstruct(numbers[~later])
    return vectors


def _blocks(base: VectorIndex, hidden: Selection, added: FlatIndex) -> Blocks:
    numbers = _numbers(base, hidden, added)
    for start in range(0, len(numbers), BLOCK):
        part = numbers[start : start + BLOCK]
        yield part, _vectors(base, added, part)


def _copy(index: FlatIndex) -> FlatIndex:
    copy, numbers = FlatIndex(index.dim), index.numbers()
    copy.add(numbers, index.reconstruct(numbers))
    return copy
