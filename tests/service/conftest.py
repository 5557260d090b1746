"""One tiny bundle and one server for all tests that need no other; each test takes a gallery of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import harness
import pytest
from postgres import cluster, fresh_database


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return harness.tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[harness.Server]:
    with harness.serving(
        tmp_path_factory.mktemp("server") / "data",
        bundle,
        max_images_per_request=4,
        max_request_bytes=2_000_000,
        max_image_bytes=500_000,
        body_timeout=2,
    ) as running:
        yield running


@pytest.fixture
def gallery() -> str:
    """A gallery name that nobody used."""
    return "g" + uuid.uuid4().hex[:12]


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a PostgreSQL cluster that lives as long as the tests."""
    with cluster() as (url, _):
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str | None:
    """A fresh, empty database: None for SQLite in the data folder, else a URL."""
    if request.param == "sqlite":
        return None
    return fresh_database(request.getfixturevalue("postgres"))
