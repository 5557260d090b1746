"""What other search libraries answer to the same calls, for `benchmarks.engines`. A peer that is not installed is left
out, saying so."""

# ruff: noqa: PLC0415 - a peer is imported when it is its turn

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Numbers = NDArray[np.int64]

THREADS = 2


class Contestant(Protocol):
    """One engine at one setting. `effort` is how far a search looks: probes, candidates, or None for a flat one."""

    name: str
    peer: bool
    needs: str  # package
    effort: int | None

    def build(self, vectors: Vectors) -> None: ...

    def set_effort(self, effort: int) -> None: ...

    def search(self, queries: Vectors, k: int) -> Numbers: ...

    def save(self, path: Path) -> None: ...

    def open(self, path: Path) -> None: ...

    def bytes_per_item(self) -> float | None:
        """In memory; None for the size on disk."""
        ...

    def add(self, number: int, vector: Vectors) -> None: ...

    def remove(self, number: int) -> None:
        """Raises NotImplementedError where the library cannot."""
        ...


class Faiss:
    """FAISS as its own documentation uses it: an index from the factory, trained on 40 vectors a list."""

    peer = True
    needs = "faiss"

    def __init__(self, factory: str, effort: int | None) -> None:
        self.name = f"faiss {factory}"
        self.factory = factory
        self.effort = effort

    def build(self, vectors: Vectors) -> None:
        self.index = faiss.index_factory(vectors.shape[1], self.factory, faiss.METRIC_INNER_PRODUCT)
        lists = int(getattr(self.index, "nlist", 1))
        self.index.train(vectors[np.random.default_rng(0).permutation(len(vectors))[: max(40 * lists, 20_000)]])
        self.index.add(vectors)
        self.next = len(vectors)

    def set_effort(self, effort: int) -> None:
        self.effort = effort
        if hasattr(self.index, "hnsw"):
            self.index.hnsw.efSearch = effort
        else:
            faiss.extract_index_ivf(self.index).nprobe = effort

    def search(self, queries: Vectors, k: int) -> Numbers:
        found: Numbers = self.index.search(queries, k)[1]
        return found

    def save(self, path: Path) -> None:
        faiss.write_index(self.index, str(path))

    def open(self, path: Path) -> None:
        self.index = faiss.read_index(str(path))

    def bytes_per_item(self) -> float | None:
        return None

    def add(self, number: int, vector: Vectors) -> None:
        assert number == self.next
        self.index.add(vector[None])
        self.next += 1

    def remove(self, number: int) -> None:
        if hasattr(self.index, "hnsw"):
            raise NotImplementedError
        if not hasattr(self.index, "nlist"):
            raise NotImplementedError  # a flat index moves the later numbers down
        self.index.remove_ids(np.array([number]))


class Hnswlib:
    """At its own defaults: M 16, ef_construction 200."""

    name = "hnswlib"
    peer = True
    needs = "hnswlib"
    effort: int | None = 10

    def build(self, vectors: Vectors) -> None:
        import hnswlib

        self.dim = vectors.shape[1]
        self.index = hnswlib.Index(space="ip", dim=self.dim)
        self.index.init_index(max_elements=len(vectors) + 5_000, M=16, ef_construction=200)
        self.index.set_num_threads(THREADS)
        self.index.add_items(vectors)

    def set_effort(self, effort: int) -> None:
        self.effort = effort
        self.index.set_ef(effort)

    def search(self, queries: Vectors, k: int) -> Numbers:
        return self.index.knn_query(queries, k)[0].astype(np.int64)

    def save(self, path: Path) -> None:
        self.index.save_index(str(path))

    def open(self, path: Path) -> None:
        import hnswlib

        index = hnswlib.Index(space="ip", dim=self.dim)
        index.load_index(str(path), max_elements=self.index.get_max_elements())
        index.set_num_threads(THREADS)
        index.set_ef(self.effort)
        self.index = index

    def bytes_per_item(self) -> float | None:
        return None

    def add(self, number: int, vector: Vectors) -> None:
        self.index.add_items(vector[None], [number])

    def remove(self, number: int) -> None:
        self.index.mark_deleted(number)


class Usearch:
    """In halves of floats, otherwise at its own defaults: connectivity 16, expansion_add 128."""

    name = "usearch f16"
    peer = True
    needs = "usearch"
    effort: int | None = 10

    def build(self, vectors: Vectors) -> None:
        from usearch.index import Index

        self.index: Any = Index(ndim=vectors.shape[1], metric="ip", dtype="f16")
        self.index.add(np.arange(len(vectors)), vectors, threads=THREADS)

    def set_effort(self, effort: int) -> None:
        self.effort = effort
        self.index.expansion_search = effort

    def search(self, queries: Vectors, k: int) -> Numbers:
        found = self.index.search(queries if len(queries) > 1 else queries[0], k, threads=THREADS).keys
        return np.asarray(found).astype(np.int64).reshape(len(queries), -1)

    def save(self, path: Path) -> None:
        self.index.save(str(path))

    def open(self, path: Path) -> None:
        from usearch.index import Index

        # `view` would map the file, but such an index takes no changes, and this one is changed later.
        self.index = Index.restore(str(path))
        self.index.expansion_search = self.effort

    def bytes_per_item(self) -> float | None:
        return None

    def add(self, number: int, vector: Vectors) -> None:
        self.index.add(number, vector)

    def remove(self, number: int) -> None:
        self.index.remove(number)


class QdrantLocal:
    """qdrant-client's local mode: in this process, looking at every vector."""

    name = "qdrant-client local"
    peer = True
    needs = "qdrant_client"
    effort: int | None = None

    def build(self, vectors: Vectors) -> None:
        import warnings

        from qdrant_client import QdrantClient, models

        warnings.simplefilter("ignore", UserWarning)  # it warns of more than 20,000 vectors
        self.models = models
        self.client = QdrantClient(":memory:")
        size = models.VectorParams(size=vectors.shape[1], distance=models.Distance.DOT)
        self.client.create_collection("items", vectors_config=size)
        for start in range(0, len(vectors), 10_000):
            part = vectors[start : start + 10_000]
            ids = list(range(start, start + len(part)))
            self.client.upsert("items", models.Batch(ids=ids, vectors=part.tolist()))

    def set_effort(self, effort: int) -> None:
        raise NotImplementedError

    def search(self, queries: Vectors, k: int) -> Numbers:
        answers = [self.client.query_points("items", query, limit=k).points for query in queries]
        return np.array([[point.id for point in points] for points in answers], np.int64)

    def save(self, path: Path) -> None:
        raise NotImplementedError

    def open(self, path: Path) -> None:
        raise NotImplementedError

    def bytes_per_item(self) -> float | None:
        return None

    def add(self, number: int, vector: Vectors) -> None:
        self.client.upsert("items", self.models.Batch(ids=[number], vectors=[vector.tolist()]))

    def remove(self, number: int) -> None:
        self.client.delete("items", self.models.PointIdsList(points=[number]))


class MilvusLite:
    """milvus-lite: Milvus in this process. It takes its own number of a graph's neighbours, whatever is asked for."""

    peer = True
    needs = "milvus_lite"

    def __init__(self, method: str, effort: int | None) -> None:
        self.name = f"milvus-lite {method}"
        self.method = method
        self.effort = effort

    def build(self, vectors: Vectors) -> None:
        import logging
        import tempfile

        from pymilvus import DataType, MilvusClient

        logging.disable(logging.ERROR)  # its server has not all that its client asks for, and says so with a traceback
        self.items = len(vectors)
        self.folder = tempfile.TemporaryDirectory()
        self.path = str(Path(self.folder.name) / "items.db")
        self.client = MilvusClient(self.path)
        schema = MilvusClient.create_schema(auto_id=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=vectors.shape[1])
        self.client.create_collection("items", schema=schema)
        for start in range(0, len(vectors), 1_000):
            rows = enumerate(vectors[start : start + 1_000], start)
            self.client.insert("items", [{"id": number, "vector": row} for number, row in rows])
        self.client.flush("items")
        index = self.client.prepare_index_params()
        index.add_index("vector", index_type=self.method, metric_type="IP")
        self.client.create_index("items", index)
        self.client.load_collection("items")

    def set_effort(self, effort: int) -> None:
        self.effort = effort

    def search(self, queries: Vectors, k: int) -> Numbers:
        parameters = {} if self.effort is None else {"ef": max(self.effort, k)}
        answers = self.client.search(
            "items", data=queries, limit=k, output_fields=["id"], search_params={"params": parameters}
        )
        return np.array([list(hits.ids) for hits in answers], np.int64)

    def save(self, path: Path) -> None:
        import shutil

        self._stop()
        shutil.copytree(self.path, path.with_suffix(".db"))

    def open(self, path: Path) -> None:
        from pymilvus import MilvusClient

        self._stop()
        self.path = str(path.with_suffix(".db"))
        self.client = MilvusClient(self.path)
        self.client.load_collection("items")

    def bytes_per_item(self) -> float | None:
        return None

    def add(self, number: int, vector: Vectors) -> None:
        self.client.insert("items", [{"id": number, "vector": vector}])

    def remove(self, number: int) -> None:
        self.client.delete("items", ids=[number])

    def _stop(self) -> None:
        from milvus_lite.server_manager import server_manager_instance

        self.client.close()
        server_manager_instance.release_server(self.path)


def peers(lists: int) -> list[Callable[[], Contestant]]:
    """Those that are installed; FAISS's lists as many as ours."""
    all_: list[tuple[str, Callable[[], Contestant]]] = [
        ("faiss", lambda: Faiss("Flat", None)),
        ("faiss", lambda: Faiss("SQfp16", None)),
        ("faiss", lambda: Faiss(f"IVF{lists},Flat", 1)),
        ("faiss", lambda: Faiss(f"IVF{lists},SQ8", 1)),
        ("faiss", lambda: Faiss("HNSW32", 8)),
        ("hnswlib", Hnswlib),
        ("usearch", Usearch),
        ("qdrant_client", QdrantLocal),
        ("milvus_lite", lambda: MilvusLite("FLAT", None)),
        ("milvus_lite", lambda: MilvusLite("HNSW", 10)),
    ]
    for package, _ in all_:
        if find_spec(package) is None:
            print(f"{package} is not installed and left out: pip install -c constraints.txt -e '.[peers,milvus-lite]'")
    return [make for package, make in all_ if find_spec(package) is not None]
