"""What every engine can do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from index.engines.selection import Selection
    from index.engines.spec import EngineSpec

Vectors = NDArray[np.float32]
Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]

Blocks: TypeAlias = Iterator[tuple[Numbers, Vectors]]
"""Numbers (n,), ascending over all blocks, and their vectors (n, d)."""

ABSENT = -1
"""Number in a search result where fewer than k vectors are there; its similarity is -inf."""

BLOCK = 16_384
"""Vectors moved at a time: 32 MB at 512 dimensions."""


@dataclass(frozen=True, slots=True)
class IndexStats:
    """What an index is and what it takes.

    Attributes:
        engine: its specification in short form, with the number of lists that it has.
        items: vectors that a search can answer with.
        changes: vectors added or hidden since it was built, which the next merge will take in.
        memory_bytes: what searches go through, in memory or mapped; of a mapped index the part in use is in memory.
        kept_bytes: vectors kept beside that, to be read back and to refine with; they can stay on the disk.
        disk_bytes: size of the files that are mapped; 0 for an index in memory.
    """

    engine: str
    items: int
    changes: int
    memory_bytes: int
    kept_bytes: int
    disk_bytes: int


class VectorIndex(Protocol):
    """Unit vectors under int64 numbers, searched by inner product (the cosine, for unit vectors)."""

    @property
    def dim(self) -> int: ...

    @property
    def spec(self) -> EngineSpec:
        """What was asked for when it was built."""
        ...

    def __len__(self) -> int: ...

    def numbers(self) -> Numbers:
        """The numbers held, ascending, shape (n,)."""
        ...

    def contains(self, numbers: Numbers) -> Mask:
        """Which of `numbers` (n,) are held, shape (n,)."""
        ...

    def add(self, numbers: Numbers, vectors: Vectors) -> None:
        """Hold `vectors` (n, d) under `numbers` (n,), replacing those already there. `numbers` are distinct.

        Raises:
            ReadOnlyIndex: the index is memory-mapped, or of an engine that cannot change; put an overlay over it.
            DimensionMismatch: vectors of another width.
        """
        ...

    def remove(self, numbers: Iterable[int]) -> int:
        """Let go of `numbers`; those not held are passed over. Returns how many were held."""
        ...

    def search(self, queries: Vectors, k: int, *, within: Selection | None = None) -> tuple[Vectors, Numbers]:
        """The k most similar vectors of each of `queries` (q, d): similarities and numbers, both (q, k), best
        first; equal similarities in ascending order of number; padded with -inf and `ABSENT`.

        Args:
            within: answer with these alone.
        """
        ...

    def reconstruct(self, numbers: Numbers) -> Vectors:
        """The vectors of `numbers` (n,), in their order, shape (n, d). Raises KeyError for one not held."""
        ...

    def save(self, path: Path) -> None:
        """Write all to `path`, and to files beside it whose names begin with its name, flushed to the disk."""
        ...

    def stats(self) -> IndexStats:
        """What it is and what it takes."""
        ...
