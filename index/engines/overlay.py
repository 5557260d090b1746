"""Changes over an index that cannot change: a read-only base, what came since, and what went since.

Any engine that searches but cannot add or delete (a memory-mapped file, a graph index) becomes one that can.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from index.engines.flat import FlatIndex
from index.engines.protocol import ABSENT, Mask, Numbers, VectorIndex, Vectors

__all__ = ["OverlayIndex"]


class OverlayIndex:
    """A base with later changes on top; searched as one.

    Args:
        base: never changed by this class.
    """

    def __init__(self, base: VectorIndex) -> None:
        self._base = base
        self._added = FlatIndex(base.dim)
        self._hidden: set[int] = set()

    @property
    def dim(self) -> int:
        return self._base.dim

    def __len__(self) -> int:
        return len(self._base) - len(self._hidden) + len(self._added)

    def numbers(self) -> Numbers:
        base = self._base.numbers()
        return np.union1d(base[~np.isin(base, self._hidden_array())], self._added.numbers())

    def contains(self, numbers: Numbers) -> Mask:
        visible = self._base.contains(numbers) & ~np.isin(numbers, self._hidden_array())
        return visible | self._added.contains(numbers)

    def add(self, numbers: Numbers, vectors: Vectors) -> None:
        self._added.add(numbers, vectors)
        self._hide(numbers)

    def remove(self, numbers: Iterable[int]) -> int:
        wanted = np.fromiter(numbers, np.int64)
        return self._added.remove(wanted.tolist()) + self._hide(wanted)

    def search(self, queries: Vectors, k: int) -> tuple[Vectors, Numbers]:
        # Hidden vectors may stand among the best of the base, so ask for as many more.
        base_similarities, base_numbers = self._base.search(queries, k + len(self._hidden))
        hidden = np.isin(base_numbers, self._hidden_array())
        base_similarities = np.where(hidden, np.float32(-np.inf), base_similarities)
        base_numbers = np.where(hidden, np.int64(ABSENT), base_numbers)
        added_similarities, added_numbers = self._added.search(queries, k)
        similarities = np.concatenate([base_similarities, added_similarities], axis=1)
        numbers = np.concatenate([base_numbers, added_numbers], axis=1)
        order = np.lexsort((numbers, -similarities), axis=1)[:, :k]
        return np.take_along_axis(similarities, order, axis=1), np.take_along_axis(numbers, order, axis=1)

    def reconstruct(self, numbers: Numbers) -> Vectors:
        numbers = np.asarray(numbers, np.int64)
        vectors = np.empty((len(numbers), self.dim), np.float32)
        held = self.contains(numbers)
        if not held.all():
            raise KeyError(int(numbers[~held][0]))
        added = self._added.contains(numbers)
        vectors[added] = self._added.reconstruct(numbers[added])
        vectors[~added] = self._base.reconstruct(numbers[~added])
        return vectors

    def save(self, path: Path) -> None:
        """Write base and changes as one flat index."""
        numbers = self.numbers()
        merged = FlatIndex(self.dim)
        for start in range(0, len(numbers), 65_536):
            part = numbers[start : start + 65_536]
            merged.add(part, self.reconstruct(part))
        merged.save(path)

    def _hide(self, numbers: Numbers) -> int:
        """Hide those of `numbers` that the base holds; returns how many were visible before."""
        held = set(numbers[self._base.contains(numbers)].tolist()) - self._hidden
        self._hidden |= held
        return len(held)

    def _hidden_array(self) -> Numbers:
        return np.fromiter(self._hidden, np.int64, len(self._hidden))
