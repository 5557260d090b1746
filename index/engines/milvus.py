"""Search by a Milvus server, for galleries past one machine (https://milvus.io); milvus-lite in tests and on a laptop.

A generation is a collection, written once and never changed, as every base is; an `OverlayIndex` takes the changes. On
this machine's disk lie the collection's name and the numbers, mapped: what is held and selected needs no asking.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from index.engines.errors import EngineUnavailable
from index.engines.fields import Describe
from index.engines.files import beside, flush, map_numbers, write_numbers
from index.engines.milvus_collection import MOST_ANSWERS, NAME_PATTERN, NUMBER, Collection
from index.engines.milvus_expression import EVERYTHING, expressions
from index.engines.milvus_server import milvus
from index.engines.ordering import best_of, in_order, lowest, no_answer, padded
from index.engines.protocol import BLOCK, IndexStats, Mask, Numbers, Vectors
from index.engines.selection import Selection
from index.engines.spec import MilvusSpec
from index.engines.spec_text import spec_text
from index.errors import DimensionMismatch, GenerationCorrupt, ReadOnlyIndex

__all__ = ["MilvusIndex", "build_on_milvus", "collection_of"]

_FURTHER = 8
_FURTHEST = {"ef": 1 << 15, "probes": 1 << 16}
_FEW_SELECTED = 256
"""Vectors that are fetched and compared here, half a megabyte: an index finds few of so few, and says nothing of it."""

_SAMPLE = 64
_LONGEST_FILE = 10_000


class _Saved(BaseModel):
    """What `save` writes at its path.

    Attributes:
        sample: sha256 of some of the vectors, spread over all of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["whichone-milvus/1"] = "whichone-milvus/1"
    collection: Annotated[str, Field(pattern=NAME_PATTERN)]
    dim: Annotated[int, Field(ge=1, le=32_768)]
    items: Annotated[int, Field(ge=0)]
    sample: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A selection as this collection needs it; None for all there are."""

    selection: Selection | None
    count: int
    expressions: list[str]


def build_on_milvus(
    spec: MilvusSpec, dim: int, blocks: Iterable[tuple[Numbers, Vectors]], describe: Describe | None = None
) -> MilvusIndex:
    """A new collection of checked blocks, indexed and ready. It goes with the index unless that is saved.

    Args:
        describe: gives the items' other fields; None leaves them empty.

    Raises:
        EngineUnavailable: see `milvus_server`.
        InvalidEngineSpec: the server has no such method.
    """
    collection = Collection.create(milvus(), dim)
    numbers = [np.empty(0, np.int64)]
    try:
        for part, vectors in blocks:
            collection.insert(part, vectors, None if describe is None else describe(part, vectors))
            numbers.append(part)
        held = np.concatenate(numbers)
        collection.finish(spec, len(held))
    except BaseException:
        _drop_now_or_later(collection)
        raise
    return MilvusIndex(spec, collection, held)


class MilvusIndex:
    """A collection, read-only; put an `OverlayIndex` over it to change it.

    Args:
        spec: how it is indexed and searched.
        collection: ready to be searched.
        numbers: of its rows, ascending.
        disk_bytes: size of the files that name it.
    """

    def __init__(self, spec: MilvusSpec, collection: Collection, numbers: Numbers, *, disk_bytes: int = 0) -> None:
        self._spec = spec
        self._collection = collection
        self._numbers = numbers
        self._disk_bytes = disk_bytes
        self._everything = _Chosen(None, len(numbers), [EVERYTHING])
        self._chosen = self._everything

    @classmethod
    def open(cls, path: Path, spec: MilvusSpec) -> MilvusIndex:
        """The index that `save` wrote, its collection loaded and looked at.

        Raises:
            GenerationCorrupt: a file is missing or is none; the server has no such collection, or other rows in it.
            EngineUnavailable: see `milvus_server`.
        """
        saved, numbers = _read(path), map_numbers(beside(path, "numbers"))
        collection = Collection(milvus(), saved.collection, saved.dim)
        where = f"{path.name}: collection {collection.name} on {collection.server.address}"
        if not collection.exists():
            raise GenerationCorrupt(
                f"{where} is not there; publish a new generation, or set WHICHONE_MILVUS_URI to the server that has it",
                file=path.name,
            )
        collection.load()
        if not collection.count() == saved.items == len(numbers):
            raise GenerationCorrupt(
                f"{where} holds {collection.count()} rows, expected {saved.items}, and there are {len(numbers)} "
                "numbers; publish a new generation",
                file=path.name,
            )
        if _fingerprint(collection, numbers) != saved.sample:
            raise GenerationCorrupt(
                f"{where} holds other vectors than were written; publish a new generation", file=path.name
            )
        disk_bytes = path.stat().st_size + beside(path, "numbers").stat().st_size
        return cls(spec, collection, numbers, disk_bytes=disk_bytes)

    @property
    def dim(self) -> int:
        return self._collection.dim

    @property
    def spec(self) -> MilvusSpec:
        return self._spec

    def searching_as(self, spec: MilvusSpec) -> MilvusIndex:
        """The same collection searched with other parameters; what was built in must be the same."""
        return MilvusIndex(spec, self._collection, self._numbers, disk_bytes=self._disk_bytes)

    def __len__(self) -> int:
        return len(self._numbers)

    def numbers(self) -> Numbers:
        return self._numbers

    def contains(self, numbers: Numbers) -> Mask:
        return Selection(self._numbers).among(np.asarray(numbers, np.int64))

    def add(self, numbers: Numbers, vectors: Vectors) -> None:  # noqa: ARG002 - the protocol's
        raise ReadOnlyIndex("a milvus index cannot change; put an OverlayIndex over it")

    def remove(self, numbers: Iterable[int]) -> int:  # noqa: ARG002 - the protocol's
        raise ReadOnlyIndex("a milvus index cannot change; put an OverlayIndex over it")

    def search(self, queries: Vectors, k: int, *, within: Selection | None = None) -> tuple[Vectors, Numbers]:
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            raise DimensionMismatch(
                f"queries of shape {queries.shape} do not fit an index of {self.dim} dimensions", expected=self.dim
            )
        chosen = self._everything if within is None else self._choose(within)
        k_here = min(k, chosen.count)
        if k_here == 0 or len(queries) == 0:
            return no_answer(len(queries), k)
        similarities, numbers = self._search(np.ascontiguousarray(queries, np.float32), k_here, chosen)
        return padded(similarities, numbers, k)

    def exact(self, queries: Vectors, k: int) -> tuple[Vectors, Numbers]:
        """What `search` would find if it looked at every vector, which all come here for it; k at most their number."""
        return self._one_by_one(np.ascontiguousarray(queries, np.float32), k, self._everything)

    def reconstruct(self, numbers: Numbers) -> Vectors:
        numbers = np.asarray(numbers, np.int64)
        held = self.contains(numbers)
        if not held.all():
            raise KeyError(int(numbers[~held][0]))
        return self._collection.vectors(numbers)

    def save(self, path: Path) -> None:
        """Write the collection's name to `path` and the numbers beside it. From then on the collection stays until
        `discard`, so only one path may name it.

        Raises:
            ReadOnlyIndex: a file names it already.
        """
        if self._collection.kept:
            raise ReadOnlyIndex(
                f"collection {self._collection.name} has a file already; build another to save it again"
            )
        saved = _Saved(
            collection=self._collection.name,
            dim=self.dim,
            items=len(self),
            sample=_fingerprint(self._collection, self._numbers),
        )
        write_numbers(self._numbers, beside(path, "numbers"))
        path.write_text(saved.model_dump_json(), encoding="utf-8")
        flush(path)
        self._collection.keep()

    def drop(self) -> None:
        """Delete the collection: of an index that will never be saved."""
        _drop_now_or_later(self._collection)

    def stats(self) -> IndexStats:
        """What it is; vectors count as kept, wherever the server has them, and memory is this process's."""
        return IndexStats(
            engine=spec_text(self._spec),
            items=len(self),
            changes=0,
            memory_bytes=self._numbers.nbytes,
            kept_bytes=4 * self.dim * len(self),
            disk_bytes=self._disk_bytes,
        )

    def _choose(self, within: Selection) -> _Chosen:
        """The last selection is kept: an overlay asks again and again about the same."""
        chosen = self._chosen
        if chosen.selection is not within:
            held = within.listed[self.contains(within.listed)]
            inverted = within.inverted
            count = len(self) - len(held) if inverted else len(held)
            if 2 * len(held) > len(self):  # the others are fewer
                held = self._numbers[~Selection(held).places(self._numbers)]
                inverted = not inverted
            chosen = _Chosen(within, count, expressions(NUMBER, held, inverted=inverted))
            self._chosen = chosen
        return chosen

    def _search(self, queries: Vectors, k: int, chosen: _Chosen) -> tuple[Vectors, Numbers]:
        """k rows for each query; there are as many."""
        if chosen.count <= _FEW_SELECTED and chosen is not self._everything and self._spec.method != "flat":
            return self._one_by_one(queries, k, chosen)
        effort = self._spec.effort
        looks = 0
        if effort is not None:  # further where a selection passes over most
            looks = min(int(getattr(self._spec, effort) * len(self) / chosen.count), _FURTHEST[effort])
        found = self._as_far(queries, k, chosen, looks)
        while lowest(found[0][:, -1]) == -np.inf:
            short = np.isneginf(found[0][:, -1])
            # Too little of the lists or the graph was looked at to find k.
            if effort is None or looks >= _FURTHEST[effort]:
                similarities, numbers = self._one_by_one(queries[short], k, chosen)
            else:
                looks = min(looks * _FURTHER, _FURTHEST[effort])
                similarities, numbers = self._as_far(queries[short], k, chosen, looks)
            found[0][short], found[1][short] = similarities, numbers
        return found

    def _as_far(self, queries: Vectors, k: int, chosen: _Chosen, looks: int) -> tuple[Vectors, Numbers]:
        return in_order(lambda asked: self._ask(queries, asked, chosen, looks), k, chosen.count)

    def _ask(self, queries: Vectors, asked: int, chosen: _Chosen, looks: int) -> tuple[Vectors, Numbers]:
        if asked > MOST_ANSWERS:
            return self._one_by_one(queries, asked, chosen)
        parameters = self._parameters(asked, looks)
        found = [self._collection.search(queries, asked, part, parameters) for part in chosen.expressions]
        if len(found) == 1:
            return found[0]
        similarities, numbers = (np.concatenate(parts, axis=1) for parts in zip(*found, strict=True))
        return best_of(similarities, numbers, asked)

    def _parameters(self, asked: int, looks: int) -> dict[str, int]:
        """As Milvus calls them; it refuses fewer candidates than answers, and more lists than there are it takes."""
        if self._spec.effort == "probes":
            return {"nprobe": looks}
        if self._spec.effort == "ef":
            return {"ef" if self._spec.method == "hnsw" else "search_list": max(looks, asked)}
        return {}

    def _one_by_one(self, queries: Vectors, k: int, chosen: _Chosen) -> tuple[Vectors, Numbers]:
        """The k best of all that is selected, compared here."""
        best = no_answer(len(queries), 0)
        selected = self._numbers
        if chosen.selection is not None:
            selected = selected[chosen.selection.places(selected)]
        for numbers, vectors in _in_blocks(self._collection, selected):
            similarities = np.concatenate([best[0], queries @ vectors.T], axis=1)
            all_numbers = np.concatenate([best[1], np.broadcast_to(numbers, (len(queries), len(numbers)))], axis=1)
            best = best_of(similarities, all_numbers, min(k, similarities.shape[1]))
        return best


def _drop_now_or_later(collection: Collection) -> None:
    """A server that is away must not hide what went wrong before; the next build drops what nothing refers to."""
    with suppress(EngineUnavailable):
        collection.drop()


def collection_of(path: Path) -> Collection:
    """The collection that a saved index is in; it need not be there any more.

    Raises:
        GenerationCorrupt: there is no such file, or it is of another engine.
        EngineUnavailable: nobody said where Milvus is.
    """
    saved = _read(path)
    return Collection(milvus(), saved.collection, saved.dim)


def _read(path: Path) -> _Saved:
    try:
        with path.open("rb") as file:
            return _Saved.model_validate_json(file.read(_LONGEST_FILE))
    except (OSError, ValidationError) as error:
        raise GenerationCorrupt(f"{path.name} is missing or names no Milvus collection", file=path.name) from error


def _fingerprint(collection: Collection, numbers: Numbers) -> str:
    """Of up to `_SAMPLE` vectors, spread over all of them."""
    sampled = numbers
    if len(numbers) > _SAMPLE:
        sampled = numbers[np.linspace(0, len(numbers) - 1, _SAMPLE).astype(np.int64)]
    return hashlib.sha256(collection.vectors(sampled).tobytes()).hexdigest()


def _in_blocks(collection: Collection, numbers: Numbers) -> Iterator[tuple[Numbers, Vectors]]:
    for start in range(0, len(numbers), BLOCK):
        part = numbers[start : start + BLOCK]
        yield part, collection.vectors(part)
