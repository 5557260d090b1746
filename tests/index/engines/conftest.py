"""A Milvus for the tests of engines: milvus-lite, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from index.engines import use_milvus
from index.engines.milvus_server import milvus


@pytest.fixture(scope="session")
def milvus_lite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A `pymilvus.MilvusClient` of the server that the engine uses."""
    manager = pytest.importorskip("milvus_lite.server_manager", reason="needs the milvus-lite extra")
    path = str(tmp_path_factory.mktemp("milvus") / "milvus.db")
    use_milvus(path)
    yield milvus().client()
    manager.server_manager_instance.release_server(path)
