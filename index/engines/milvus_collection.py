"""A collection of a Milvus server: one row an item, written once, then only read."""

from __future__ import annotations

import secrets
import time
import weakref
from contextlib import suppress
from typing import Any

import numpy as np

from index.engines.errors import EngineUnavailable, InvalidEngineSpec
from index.engines.fields import ItemFields
from index.engines.milvus_expression import is_one_of
from index.engines.milvus_server import MilvusServer
from index.engines.ordering import no_answer
from index.engines.protocol import Numbers, Vectors
from index.engines.spec import MilvusSpec
from index.errors import GenerationCorrupt

__all__ = ["ID_CHARACTERS", "MOST_ANSWERS", "NAME_PATTERN", "NUMBER", "Collection"]

NAME_PATTERN = r"^whichone_[0-9a-f]{32}$"

NUMBER, VECTOR, ID, LABEL, PENALTY = "number", "vector", "id", "label", "penalty"

MOST_ANSWERS = 16_384
"""What Milvus gives for one query."""

ID_CHARACTERS, _LABEL_BYTES = 200, 1_000
"""Room for an item's id and label; Milvus counts bytes, and a label has up to 200 characters."""

_SEARCH_S, _WRITE_S = 30.0, 300.0
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.02, 2.0
_MOST_FLOATS_SENT = 1 << 21
"""8 MB a message; servers take 64."""

_ROWS_READ = 1_024
_ANSWERS_READ = 1 << 18
_METHODS = {"auto": "AUTOINDEX", "flat": "FLAT", "hnsw": "HNSW", "ivf": "IVF_FLAT", "ivf_sq8": "IVF_SQ8"}
_SEGMENT_BYTES = 1 << 30
"""Milvus indexes its rows in segments of so many bytes, unless told otherwise."""

_SAID_NO = (1, 1100)
"""Milvus's codes for what it will not do: of milvus-lite, and of an invalid parameter."""


class Collection:
    """Rows of number, vector, and where known id, label and penalty.

    Searches ask for the weakest of Milvus's consistencies: everything was written, flushed and loaded before the first
    of them, and waiting for newer writes would take some 0.2 s.
    """

    def __init__(self, server: MilvusServer, name: str, dim: int) -> None:
        self.server = server
        self.name = name
        self.dim = dim
        self._finalizer: Any = None

    @classmethod
    def create(cls, server: MilvusServer, dim: int) -> Collection:
        """A new one, under a name that nobody can guess. It is dropped some time after nothing refers to it any more,
        unless `keep` was called.

        Raises:
            EngineUnavailable: see `MilvusServer`.
        """
        _drop_abandoned(server)
        collection = cls(server, f"whichone_{secrets.token_hex(16)}", dim)
        with server.asked_to(f"make collection {collection.name}") as client:
            client.create_collection(
                collection.name, schema=_schema(client, dim), consistency_level="Eventually", timeout=_WRITE_S
            )
        collection._finalizer = weakref.finalize(collection, server.abandoned.append, collection.name)
        collection._finalizer.atexit = False
        return collection

    def keep(self) -> None:
        """A file names it now: it stays until `drop`."""
        if self._finalizer is not None:
            self._finalizer.detach()

    @property
    def kept(self) -> bool:
        """Whether a file names it."""
        return self._finalizer is None or not self._finalizer.alive

    def insert(self, numbers: Numbers, vectors: Vectors, fields: ItemFields | None) -> None:
        """Add rows: numbers (n,) that are not there yet, vectors (n, d)."""
        step = max(1, _MOST_FLOATS_SENT // self.dim)
        for start in range(0, len(numbers), step):
            part = range(start, min(start + step, len(numbers)))
            rows = [
                {
                    NUMBER: int(numbers[at]),
                    VECTOR: vectors[at],
                    ID: None if fields is None else fields.ids[at],
                    LABEL: None if fields is None else fields.labels[at],
                    PENALTY: None if fields is None else float(fields.penalties[at]),
                }
                for at in part
            ]
            with self.server.asked_to(f"write to collection {self.name}") as client:
                client.insert(self.name, rows, timeout=_WRITE_S)

    def finish(self, spec: MilvusSpec, items: int) -> None:
        """Index what was inserted, and make it ready to be searched.

        Raises:
            InvalidEngineSpec: the server has no such index.
            EngineUnavailable: it failed, or does not hold all `items` rows after that.
        """
        with self.server.asked_to(f"flush collection {self.name}") as client:
            client.flush(self.name)
        self._index(spec, items)
        self.load()
        if (there := self.count()) != items:
            raise EngineUnavailable(
                f"engine milvus: {self.server.address}: collection {self.name} holds {there} rows after {items} were "
                "written; build again"
            )

    def _index(self, spec: MilvusSpec, items: int) -> None:
        name = _METHODS.get(spec.method, spec.method.upper())
        building = {}
        if spec.method == "hnsw":
            building = {"M": spec.m, "efConstruction": spec.construction}
        elif spec.effort == "probes":
            building = {"nlist": spec.lists_for(min(items, _SEGMENT_BYTES // (4 * self.dim)))}
        try:
            with self.server.asked_to(f"index collection {self.name}") as client:
                asked = client.prepare_index_params()
                asked.add_index(
                    field_name=VECTOR, index_name=VECTOR, index_type=name, metric_type="IP", params=building
                )
                # Waited for below: pymilvus looks every half second, by a call that milvus-lite does not have.
                client.create_index(self.name, asked, sync=False)
        except EngineUnavailable as error:
            if error.details.get("milvus_code") not in _SAID_NO:
                raise
            raise InvalidEngineSpec(
                f"engine milvus: method {spec.method}: {self.server.address} refuses it ({error.details['said']}); "
                "flat, hnsw, ivf, ivf_sq8 or auto would do",
                method=spec.method,
            ) from error
        self._wait_for_index()

    def _wait_for_index(self) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            with self.server.asked_to(f"index collection {self.name}") as client:
                state = client.describe_index(self.name, VECTOR, timeout=_SEARCH_S)["state"]
            if state == "Finished":
                return
            if state == "Failed":
                raise EngineUnavailable(
                    f"engine milvus: {self.server.address} failed to index collection {self.name}; its log says why; "
                    "then build again"
                )
            time.sleep(pause)
            pause = min(2 * pause, _LAST_PAUSE_S)

    def exists(self) -> bool:
        """Whether the server has it."""
        with self.server.asked_to(f"look for collection {self.name}") as client:
            return bool(client.has_collection(self.name, timeout=_SEARCH_S))

    def load(self) -> None:
        """Have the server ready to search it; nothing if it is."""
        with self.server.asked_to(f"load collection {self.name}") as client:
            client.load_collection(self.name)

    def count(self) -> int:
        """Rows that it holds, with all that was ever written."""
        with self.server.asked_to(f"count collection {self.name}") as client:
            [row] = client.query(
                self.name, filter="", output_fields=["count(*)"], consistency_level="Strong", timeout=_SEARCH_S
            )
            return int(row["count(*)"])

    def search(self, queries: Vectors, k: int, expression: str, parameters: dict[str, int]) -> tuple[Vectors, Numbers]:
        """Up to k <= `MOST_ANSWERS` of the rows that an expression is true of, best first: similarities and numbers
        (q, k), padded."""
        similarities, numbers = no_answer(len(queries), k)
        step = max(1, min(_ANSWERS_READ // k, _MOST_FLOATS_SENT // self.dim))
        for start in range(0, len(queries), step):
            with self.server.asked_to(f"search collection {self.name}") as client:
                answer = client.search(
                    self.name,
                    data=queries[start : start + step],
                    anns_field=VECTOR,
                    limit=k,
                    filter=expression,
                    output_fields=[NUMBER],
                    search_params={"metric_type": "IP", "params": parameters},
                    consistency_level="Eventually",
                    timeout=_SEARCH_S,
                )
            for row, hits in enumerate(answer, start):
                similarities[row, : len(hits)] = hits.distances
                numbers[row, : len(hits)] = hits.ids
        return similarities, numbers

    def vectors(self, numbers: Numbers) -> Vectors:
        """The vectors of `numbers` (n,), in their order, shape (n, d).

        Raises:
            GenerationCorrupt: a row is not there, or of another width.
        """
        vectors = np.empty((len(numbers), self.dim), np.float32)
        for start in range(0, len(numbers), _ROWS_READ):
            part = numbers[start : start + _ROWS_READ]
            with self.server.asked_to(f"read from collection {self.name}") as client:
                rows = client.query(
                    self.name,
                    filter=is_one_of(NUMBER, part),
                    output_fields=[NUMBER, VECTOR],
                    consistency_level="Eventually",
                    timeout=_SEARCH_S,
                )
            found = {int(row[NUMBER]): row[VECTOR] for row in rows}
            lost = [number for number in part.tolist() if len(found.get(number, ())) != self.dim]
            if lost:
                raise GenerationCorrupt(
                    f"collection {self.name} on {self.server.address} has no vector of {self.dim} values under number "
                    f"{lost[0]}; publish a new generation",
                    collection=self.name,
                )
            for at, number in enumerate(part.tolist(), start):
                vectors[at] = found[number]
        return vectors

    def drop(self) -> None:
        """Delete it, and its aliases, which Milvus would not let it go with. Nothing if it is not there."""
        if not self.exists():
            return
        with self.server.asked_to(f"drop collection {self.name}") as client:
            for alias in client.list_aliases(self.name, timeout=_SEARCH_S)["aliases"]:
                client.drop_alias(alias, timeout=_SEARCH_S)
            client.drop_collection(self.name, timeout=_WRITE_S)
        self.keep()

    def call(self, alias: str) -> None:
        """Let `alias` mean this collection from now on, in one step if it meant another."""
        try:
            with self.server.asked_to(f"make alias {alias}") as client:
                client.create_alias(self.name, alias, timeout=_SEARCH_S)
        except EngineUnavailable:  # there is one already, or the server is gone, which shows at once
            with self.server.asked_to(f"let {alias} mean collection {self.name}") as client:
                client.alter_alias(self.name, alias, timeout=_SEARCH_S)


def _drop_abandoned(server: MilvusServer) -> None:
    with suppress(IndexError):  # there are no more; several threads may be at it
        while True:
            name = server.abandoned.popleft()
            try:
                Collection(server, name, 0).drop()
            except EngineUnavailable:
                server.abandoned.append(name)
                raise


def _schema(client: Any, dim: int) -> Any:
    from pymilvus import DataType  # noqa: PLC0415 - not there without the extra

    schema = client.create_schema(
        auto_id=False, enable_dynamic_field=False, description="One generation of a gallery of Whichone; never changed"
    )
    schema.add_field(NUMBER, DataType.INT64, is_primary=True)
    schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=dim)
    schema.add_field(ID, DataType.VARCHAR, max_length=ID_CHARACTERS, nullable=True)
    schema.add_field(LABEL, DataType.VARCHAR, max_length=_LABEL_BYTES, nullable=True)
    schema.add_field(PENALTY, DataType.FLOAT, nullable=True)
    return schema
