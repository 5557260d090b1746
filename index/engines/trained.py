"""An index that was trained from all its vectors at once, and cannot change: lists, graphs, shortened vectors.

Vectors have places 0..n-1 in ascending order of their numbers. So FAISS's own order of equals is the order of numbers,
a selection is a bitmap over places, and no table from numbers to places is needed in memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import faiss
import numpy as np
from numpy.typing import NDArray

from index.engines.files import beside, map_index, map_numbers, write_index, write_numbers
from index.engines.kept import empty_kept, exact_among, read_kept
from index.engines.ordering import in_order, lowest, no_answer, padded
from index.engines.protocol import ABSENT, IndexStats, Mask, Numbers, Vectors
from index.engines.searcher import TrainedSpec, directions, faiss_class, looked_at, parameters, resolved, search_bytes
from index.engines.selection import Selection
from index.engines.spec import FlatSpec
from index.engines.spec_text import spec_text
from index.engines.threads import use_threads
from index.errors import DimensionMismatch, GenerationCorrupt, ReadOnlyIndex

__all__ = ["PreparedSelection", "TrainedIndex", "prepare"]

_FEW_SELECTED = 2_000
"""Vectors that are compared one by one in about a millisecond; an index finds few of so few, and no sooner."""

_FURTHER = 8

KnownParameters: TypeAlias = dict[tuple[int, float], faiss.SearchParameters]


@dataclass(frozen=True, slots=True)
class PreparedSelection:
    """A selection as one index needs it.

    Attributes:
        count: vectors selected.
        mask: which, over places.
        selector: FAISS's; None where all are selected.
        bitmap: what the selector reads; kept alive with it.
        parameters: made so far, by how many were asked for and how far the search went.
    """

    selection: Selection
    count: int
    mask: Mask
    selector: faiss.IDSelector | None
    bitmap: NDArray[np.uint8]
    parameters: KnownParameters = field(default_factory=dict)

    def places(self) -> NDArray[np.int64]:
        """The places selected, ascending."""
        return np.flatnonzero(self.mask)


def prepare(selection: Selection, numbers: Numbers) -> PreparedSelection:
    """A selection among ascending `numbers` (n,)."""
    mask = selection.places(numbers)
    count = int(np.count_nonzero(mask))
    bitmap = np.packbits(mask, bitorder="little")
    selector = None if count == len(numbers) else faiss.IDSelectorBitmap(bitmap)
    return PreparedSelection(selection, count, mask, selector, bitmap)


class TrainedIndex:
    """Searched through FAISS, read-only; put an `OverlayIndex` over it to change it.

    Args:
        spec: what `searcher` is.
        searcher: over places.
        kept: the vectors in full, over places; the same object where the searcher keeps them itself.
        numbers: ascending, one for each place.
        disk_bytes: size of the files that all this is mapped from.
    """

    def __init__(
        self, spec: TrainedSpec, searcher: faiss.Index, kept: faiss.Index, numbers: Numbers, *, disk_bytes: int = 0
    ) -> None:
        self._spec = spec
        self._searcher = searcher
        self._kept = kept
        self._numbers = numbers
        self._disk_bytes = disk_bytes
        self._asked = faiss.IndexRefine(searcher, kept) if spec.refine else searcher
        # FAISS tells both so slowly that a batch would take a hundredth longer.
        self._dim = int(searcher.d)
        self._looked_at = looked_at(spec, searcher)
        self._prepared: PreparedSelection | None = None
        self._plain: KnownParameters = {}

    @classmethod
    def open(cls, path: Path, spec: TrainedSpec, *, expected: type | None = None) -> TrainedIndex:
        """Memory-map an index that `save` wrote.

        Args:
            expected: FAISS class of the searcher, where it was not made here.

        Raises:
            GenerationCorrupt: a file is missing, or is not of such an index.
        """
        searcher = map_index(path, expected or faiss_class(spec), transformed=directions(spec) is not None)
        numbers_path, kept_path = beside(path, "numbers"), beside(path, "vectors")
        numbers = map_numbers(numbers_path)
        files = [path, numbers_path]
        kept = searcher
        if not _keeps_itself(spec):
            kept = map_index(kept_path, type(empty_kept(1, spec.kept_as)))
            files.append(kept_path)
        if not searcher.ntotal == kept.ntotal == len(numbers) or searcher.d != kept.d:
            raise GenerationCorrupt(
                f"{path.name} holds {searcher.ntotal} vectors of {searcher.d} values, its vectors are {kept.ntotal} "
                f"of {kept.d} and its numbers {len(numbers)}",
                file=path.name,
            )
        return cls(spec, searcher, kept, numbers, disk_bytes=sum(file.stat().st_size for file in files))

    @property
    def dim(self) -> int:
        return self._dim

    @property
    def spec(self) -> TrainedSpec:
        return self._spec

    @property
    def searcher(self) -> faiss.Index:
        """What is searched, over places."""
        return self._searcher

    @property
    def kept(self) -> faiss.Index:
        """The vectors in full, over places."""
        return self._kept

    def searching_as(self, spec: TrainedSpec) -> TrainedIndex:
        """The same vectors searched with other parameters; what was built in must be the same."""
        return TrainedIndex(spec, self._searcher, self._kept, self._numbers, disk_bytes=self._disk_bytes)

    def __len__(self) -> int:
        return len(self._numbers)

    def numbers(self) -> Numbers:
        return self._numbers

    def contains(self, numbers: Numbers) -> Mask:
        return Selection(self._numbers).among(np.asarray(numbers, np.int64))

    def add(self, numbers: Numbers, vectors: Vectors) -> None:  # noqa: ARG002 - the protocol's
        raise ReadOnlyIndex(f"a {self._spec.kind} index cannot change; put an OverlayIndex over it")

    def remove(self, numbers: Iterable[int]) -> int:  # noqa: ARG002 - the protocol's
        raise ReadOnlyIndex(f"a {self._spec.kind} index cannot change; put an OverlayIndex over it")

    def search(self, queries: Vectors, k: int, *, within: Selection | None = None) -> tuple[Vectors, Numbers]:
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            raise DimensionMismatch(
                f"queries of shape {queries.shape} do not fit an index of {self.dim} dimensions", expected=self.dim
            )
        chosen = None if within is None else self._prepare(within)
        there = len(self) if chosen is None else chosen.count
        k_here = min(k, there)
        if k_here == 0 or len(queries) == 0:
            return no_answer(len(queries), k)
        queries = np.ascontiguousarray(queries, np.float32)
        similarities, places = self._search(queries, k_here, there, chosen)
        return padded(similarities, self._numbers[places], k)

    def exact(self, queries: Vectors, k: int) -> tuple[Vectors, Numbers]:
        """What `search` would find if it looked at every kept vector; k at most their number."""
        use_threads(len(queries), len(self))
        queries = np.ascontiguousarray(queries, np.float32)
        similarities, places = in_order(lambda asked: self._kept.search(queries, asked), k, len(self))
        return similarities, self._numbers[places]

    def reconstruct(self, numbers: Numbers) -> Vectors:
        numbers = np.asarray(numbers, np.int64)
        held = self.contains(numbers)
        if not held.all():
            raise KeyError(int(numbers[~held][0]))
        return read_kept(self._kept, np.searchsorted(self._numbers, numbers))

    def save(self, path: Path) -> None:
        write_index(self._searcher, path)
        write_numbers(self._numbers, beside(path, "numbers"))
        if not _keeps_itself(self._spec):
            write_index(self._kept, beside(path, "vectors"))

    def stats(self) -> IndexStats:
        own = _keeps_itself(self._spec)
        return IndexStats(
            engine=spec_text(resolved(self._spec, self._searcher)),
            items=len(self),
            changes=0,
            memory_bytes=search_bytes(self._spec, self._searcher) + self._numbers.nbytes,
            kept_bytes=0 if own else len(self) * self._kept.sa_code_size(),
            disk_bytes=self._disk_bytes,
        )

    def _prepare(self, within: Selection) -> PreparedSelection:
        prepared = self._prepared
        if prepared is None or prepared.selection is not within:
            prepared = prepare(within, self._numbers)
            self._prepared = prepared
        return prepared

    def _search(
        self, queries: Vectors, k: int, there: int, chosen: PreparedSelection | None
    ) -> tuple[Vectors, NDArray[np.int64]]:
        """k places for each query; there are as many."""
        if chosen is not None and chosen.count <= _FEW_SELECTED:
            similarities, places = exact_among(self._kept, queries, chosen.places())
            return similarities[:, :k], places[:, :k]
        widen = len(self) / there
        found = self._as_far(queries, k, there, chosen, widen)
        while lowest(found[0][:, -1]) == -np.inf:
            short = np.isneginf(found[0][:, -1])
            # Too few of the lists or the graph were looked at to find k.
            widen *= _FURTHER
            if widen > len(self):
                similarities, places = self._everything(queries[short], k, chosen)
            else:
                similarities, places = self._as_far(queries[short], k, there, chosen, widen)
            found[0][short], found[1][short] = similarities, places
        return found

    def _as_far(
        self, queries: Vectors, k: int, there: int, chosen: PreparedSelection | None, widen: float
    ) -> tuple[Vectors, NDArray[np.int64]]:
        return in_order(lambda asked: self._ask(queries, asked, chosen, widen), k, there)

    def _everything(
        self, queries: Vectors, k: int, chosen: PreparedSelection | None
    ) -> tuple[Vectors, NDArray[np.int64]]:
        places = np.arange(len(self)) if chosen is None else chosen.places()
        similarities, places = exact_among(self._kept, queries, places)
        return similarities[:, :k], places[:, :k]

    def _ask(
        self, queries: Vectors, asked: int, chosen: PreparedSelection | None, widen: float
    ) -> tuple[Vectors, NDArray[np.int64]]:
        use_threads(len(queries), self._looked_at if len(queries) > 1 else 0)
        similarities, places = self._asked.search(queries, asked, params=self._parameters(asked, chosen, widen))
        if lowest(places[:, -1]) == ABSENT:
            similarities[places == ABSENT] = -np.inf
        return similarities, places

    def _parameters(self, asked: int, chosen: PreparedSelection | None, widen: float) -> faiss.SearchParameters:
        """Made once for each number asked for: making them takes as long as a fast search."""
        known = self._plain if chosen is None else chosen.parameters
        if (asked, widen) not in known:
            known[asked, widen] = parameters(self._spec, None if chosen is None else chosen.selector, widen, asked)
        return known[asked, widen]


def _keeps_itself(spec: TrainedSpec) -> bool:
    """Whether what is searched are the vectors as they are kept."""
    return isinstance(spec, FlatSpec) and spec.storage != "sq8"
