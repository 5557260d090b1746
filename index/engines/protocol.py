"""What every engine can do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]

ABSENT = -1
"""Number in a search result where fewer than k vectors are there; its similarity is -inf."""


class VectorIndex(Protocol):
    """Unit vectors under int64 numbers, searched by inner product (the cosine, for unit vectors)."""

    @property
    def dim(self) -> int: ...

    def __len__(self) -> int: ...

    def numbers(self) -> Numbers:
        """The numbers held, ascending, shape (n,)."""
        ...

    def contains(self, numbers: Numbers) -> Mask:
        """Which of `numbers` (n,) are held, shape (n,)."""
        ...

    def add(self, numbers: Numbers, vectors: Vectors) -> None:
        """Hold `vectors` (n, d) under `numbers` (n,), replacing those already there. `numbers` are distinct."""
        ...

    def remove(self, numbers: Iterable[int]) -> int:
        """Let go of `numbers`; those not held are passed over. Returns how many were held."""
        ...

    def search(self, queries: Vectors, k: int) -> tuple[Vectors, Numbers]:
        """The k most similar vectors of each of `queries` (q, d): similarities and numbers, both (q, k), best
        first; equal similarities in ascending order of number; padded with -inf and `ABSENT`."""
        ...

    def reconstruct(self, numbers: Numbers) -> Vectors:
        """The vectors of `numbers` (n,), in their order, shape (n, d). Raises KeyError for one not held."""
        ...

    def save(self, path: Path) -> None:
        """Write all vectors to `path`, flushed to the disk."""
        ...
