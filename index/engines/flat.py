"""Exact search: FAISS flat inner product, with numbers; adds and deletes online, or memory-mapped and read-only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from index.engines.files import map_index, write_index
from index.engines.kept import exact_among
from index.engines.ordering import in_order, no_answer, padded
from index.engines.protocol import ABSENT, IndexStats, Mask, Numbers, Vectors
from index.engines.selection import Selection
from index.engines.spec import FlatSpec
from index.engines.spec_text import spec_text
from index.engines.threads import use_threads
from index.errors import DimensionMismatch, ReadOnlyIndex

__all__ = ["FlatIndex"]

_FEW_SELECTED = 2_000


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A selection among the rows as they stand: which, their numbers, and the bitmap that FAISS reads."""

    selection: Selection
    places: NDArray[np.int64]  # of the selected, in ascending order of number
    ids: Numbers  # of all places
    bitmap: NDArray[np.uint8]


class FlatIndex:
    """Exact inner-product search over float32 vectors.

    Searches may run side by side; a change must run alone.

    Args:
        dim: width of the vectors.
    """

    def __init__(self, dim: int) -> None:
        self._faiss = faiss.IndexIDMap2(faiss.IndexFlatIP(dim))
        self._held: set[int] | None = set()  # None: read-only
        self._mapped = np.empty(0, np.int64)  # the numbers of a read-only index, ascending
        self._disk_bytes = 0
        self._chosen: _Chosen | None = None

    @classmethod
    def open(cls, path: Path) -> FlatIndex:
        """Memory-map an index that `save` wrote. It is read-only: wrap it in an `OverlayIndex` to change it.

        Raises:
            GenerationCorrupt: the file is not such an index.
        """
        opened = map_index(path, faiss.IndexIDMap2)
        index = cls(opened.d)
        index._faiss = opened
        # FAISS aborts the whole process when a memory-mapped index is added to, so the guard is ours.
        index._held = None
        index._mapped = np.sort(faiss.vector_to_array(opened.id_map).astype(np.int64))
        index._disk_bytes = path.stat().st_size
        return index

    @property
    def dim(self) -> int:
        return int(self._faiss.d)

    @property
    def spec(self) -> FlatSpec:
        return FlatSpec()

    def __len__(self) -> int:
        return int(self._faiss.ntotal)

    def numbers(self) -> Numbers:
        if self._held is None:
            return self._mapped
        return np.sort(np.fromiter(self._held, np.int64, len(self._held)))

    def contains(self, numbers: Numbers) -> Mask:
        if self._held is not None:
            return np.fromiter((number in self._held for number in numbers.tolist()), np.bool_, len(numbers))
        return Selection(self._mapped).among(numbers)

    def add(self, numbers: Numbers, vectors: Vectors) -> None:
        held = self._writable()
        self._check_width(vectors, "vectors")
        if len(numbers) == 0:
            return
        self.remove(numbers.tolist())
        numbers = np.ascontiguousarray(numbers, np.int64)
        self._faiss.add_with_ids(np.ascontiguousarray(vectors, np.float32), numbers)
        held.update(numbers.tolist())
        self._chosen = None

    def remove(self, numbers: Iterable[int]) -> int:
        held = self._writable()
        gone = held.intersection(numbers)
        if gone:
            self._faiss.remove_ids(faiss.IDSelectorBatch(np.fromiter(gone, np.int64, len(gone))))
            held -= gone
            self._chosen = None
        return len(gone)

    def search(self, queries: Vectors, k: int, *, within: Selection | None = None) -> tuple[Vectors, Numbers]:
        self._check_width(queries, "queries")
        chosen = None if within is None else self._choose(within)
        there = len(self) if chosen is None else len(chosen.places)
        k_here = min(k, there)
        if k_here == 0 or len(queries) == 0:
            return no_answer(len(queries), k)
        queries = np.ascontiguousarray(queries, np.float32)
        use_threads(len(queries), len(self))
        if chosen is None:
            found, ids = in_order(lambda asked: self._faiss.search(queries, asked), k_here, there)
        elif there <= _FEW_SELECTED:
            found, places = exact_among(self._rows(), queries, chosen.places)
            found, ids = found[:, :k_here], chosen.ids[places[:, :k_here]]
        else:
            found, ids = in_order(lambda asked: self._search_chosen(queries, asked, chosen), k_here, there)
        return padded(found, ids, k)

    def reconstruct(self, numbers: Numbers) -> Vectors:
        numbers = np.ascontiguousarray(numbers, np.int64)
        held = self.contains(numbers)
        if not held.all():
            raise KeyError(int(numbers[~held][0]))
        if len(numbers) == 0:
            return np.empty((0, self.dim), np.float32)
        vectors: Vectors = self._faiss.reconstruct_batch(numbers)
        return vectors

    def save(self, path: Path) -> None:
        write_index(self._faiss, path)

    def stats(self) -> IndexStats:
        return IndexStats(
            engine=spec_text(self.spec),
            items=len(self),
            changes=0,
            memory_bytes=len(self) * (4 * self.dim + 8),
            kept_bytes=0,
            disk_bytes=self._disk_bytes,
        )

    def _search_chosen(self, queries: Vectors, asked: int, chosen: _Chosen) -> tuple[Vectors, Numbers]:
        parameters = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(chosen.bitmap))
        similarities, places = self._rows().search(queries, asked, params=parameters)
        similarities[places == ABSENT] = -np.inf
        return similarities, chosen.ids[places]

    def _choose(self, within: Selection) -> _Chosen:
        """The last selection is kept: an overlay asks again and again about the same."""
        chosen = self._chosen
        if chosen is None or chosen.selection is not within:
            ids = faiss.vector_to_array(self._faiss.id_map).astype(np.int64)
            mask = within.among(ids)
            places = np.flatnonzero(mask)
            chosen = _Chosen(within, places[np.argsort(ids[places])], ids, np.packbits(mask, bitorder="little"))
            self._chosen = chosen
        return chosen

    def _rows(self) -> faiss.Index:
        return faiss.downcast_index(self._faiss.index)

    def _check_width(self, vectors: Vectors, what: str) -> None:
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise DimensionMismatch(
                f"{what} of shape {vectors.shape} do not fit an index of {self.dim} dimensions", expected=self.dim
            )

    def _writable(self) -> set[int]:
        if self._held is None:
            raise ReadOnlyIndex("a memory-mapped index cannot change; put an OverlayIndex over it")
        return self._held
