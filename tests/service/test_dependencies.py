"""What routes depend on must not cost each request a thread."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fastapi.dependencies.models import Dependant

from service.app import create_app
from service.settings import Settings


def test_no_dependency_is_run_in_a_thread(tmp_path: Path) -> None:
    """FastAPI hands plain functions to its thread pool: a hop there and back, each with Python's lock to wait for."""
    app = create_app(Settings.load(data=tmp_path / "data"))
    calls: set[Any] = {one.dependency for one in app.router.dependencies} | set(_dependencies(app.routes))
    assert {"refuse_unknown_query", "_workspace", "_as_recognizer"} <= {call.__name__ for call in calls}
    assert not [call.__name__ for call in calls if not inspect.iscoroutinefunction(call)]


def _dependencies(routes: Iterable[Any]) -> Iterator[Any]:
    for route in routes:
        if hasattr(route, "original_router"):
            yield from _dependencies(route.original_router.routes)
        elif hasattr(route, "dependant"):
            yield from _of(route.dependant)


def _of(dependant: Dependant) -> Iterator[Any]:
    for inner in dependant.dependencies:
        if inner.call is not None and hasattr(inner.call, "__name__"):  # a class such as APIKeyHeader's is an object
            yield inner.call
        yield from _of(inner)
