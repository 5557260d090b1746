"""Disk full while a generation is built, kills while one is published: what is served goes on, and nothing is lost."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import harness
import pytest
from sqlalchemy import event

from index.errors import DiskFull
from index.generation import list_generations
from service.settings import Settings
from service.workspace import Workspace, open_workspace


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Path:
    """A data folder with a published gallery. Not to be changed: see `data`."""
    folder = tmp_path_factory.mktemp("filled") / "data"
    with opened(folder, bundle) as workspace:
        for thing in range(4):
            workspace.enrol(f"thing {thing}", [harness.jpeg(thing, (160 + 32 * s, 120 + 24 * s)) for s in range(2)])
        workspace.galleries.pin("default", harness.jpeg(1), "thing 1")
        workspace.galleries.publish("default", "ivf,lists=2")
    return folder


@pytest.fixture
def data(tmp_path: Path, filled: Path) -> Path:
    return Path(shutil.copytree(filled, tmp_path / "data"))


def opened(folder: Path, bundle: Path) -> Any:
    return open_workspace(Settings.load({}, data=folder, bundle=bundle, threads=1, keep_generations=2))


def answers(workspace: Workspace) -> list[dict[str, Any]]:
    return [workspace.recognize(harness.again(seed)).answer.verdict.to_json() for seed in range(4)]


def generations(folder: Path) -> list[str]:
    return sorted(entry.name for entry in (folder / "galleries" / "default" / "generations").iterdir())


@contextmanager
def files_up_to(size: int, process: int = 0) -> Iterator[None]:
    """No file of a process may grow beyond `size` bytes: the system's own refusal to write, as on a full disk."""
    _, most = resource.prlimit(process, resource.RLIMIT_FSIZE)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.prlimit(process, resource.RLIMIT_FSIZE, (most, most))


def test_wherever_the_disk_is_full_the_generation_in_use_goes_on(data: Path, bundle: Path) -> None:
    with opened(data, bundle) as workspace:
        before = answers(workspace)
        sizes = sorted({path.stat().st_size for path in (data / "galleries/default/generations/1").iterdir()})
        for size in (0, *(size - 1 for size in sizes)):  # in one file after the other, from the smallest on
            with files_up_to(size), pytest.raises(DiskFull):
                workspace.galleries.publish("default")
            assert generations(data) == ["1"]
            assert workspace.galleries.row("default").generation == 1
        assert answers(workspace) == before
        assert workspace.galleries.publish("default").number == 2
        assert answers(workspace) == before


def test_a_full_disk_over_http(data: Path, bundle: Path) -> None:
    with harness.serving(data, bundle) as server:
        before = server.ask("default", harness.again(1))["candidates"]
        server.post("/galleries/default/calibrate").raise_for_status()
        with files_up_to(40_000, server.process.pid):
            refused = server.post("/galleries/default/publish")
        assert (refused.status_code, refused.json()["code"]) == (507, "disk_full"), refused.text
        assert generations(data) == ["1"]
        assert server.ask("default", harness.again(1))["candidates"] == before
        assert server.post("/galleries/default/publish").json()["generation"] == 2


def test_photos_that_find_no_room_are_not_there(data: Path, bundle: Path) -> None:
    with opened(data, bundle) as workspace:
        stored = list(workspace.photos.stored())
        with files_up_to(1_000), pytest.raises(DiskFull, match="a photo could not be written"):
            workspace.enrol("new", [harness.jpeg(30)])
        assert list(workspace.photos.stored()) == stored
        assert list((data / "photos" / "incoming").iterdir()) == []

        @event.listens_for(workspace.database.engine, "connect")
        def no_room(connection: Any, _: object) -> None:
            connection.execute("PRAGMA max_page_count = 1")  # as many as there are

        workspace.database.engine.dispose()
        with pytest.raises(DiskFull, match="the database could not be written"):
            workspace.enrol("new", [harness.jpeg(seed) for seed in range(31, 37)])
        event.remove(workspace.database.engine, "connect", no_room)
        workspace.database.engine.dispose()
        [added] = workspace.enrol("new", [harness.jpeg(30)])
        assert workspace.recognize(harness.jpeg(30)).answer.verdict.candidates[0].items[0].id == added.id


PUBLISHING = """
import sys
from pathlib import Path
from service.settings import Settings
from service.workspace import open_workspace
with open_workspace(Settings.load()) as workspace:
    print("ready", flush=True)
    while True:
        workspace.galleries.publish("default")
"""


def draft(folder: Path) -> bool:
    return any(folder.glob("generations/.draft-*/items.npz"))


def numbered(folder: Path) -> bool:
    return str(max(list_generations(folder))) != (folder / "CURRENT").read_text().strip()


def pointing(folder: Path) -> bool:
    return any(folder.glob(".CURRENT-*"))


def going(folder: Path) -> bool:
    return any(folder.glob("generations/.gone-*"))


@pytest.mark.parametrize("moment", [draft, numbered, pointing, going])
def test_kill_nine_while_publishing(data: Path, bundle: Path, moment: Callable[[Path], bool]) -> None:
    root = data / "galleries" / "default"
    with opened(data, bundle) as workspace:
        before = answers(workspace)
    environment = harness.environment(data, bundle, keep_generations=2, port=None, log_format=None)
    running = subprocess.Popen(
        [sys.executable, "-c", PUBLISHING], env=environment, cwd=harness.ROOT, stdout=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    deadline = time.monotonic() + 8  # a moment may pass unseen: then it is killed at any other
    while not moment(root) and time.monotonic() < deadline:
        pass
    running.send_signal(signal.SIGKILL)
    running.wait(harness.DEADLINE)
    running.stdout.close()
    with opened(data, bundle) as workspace:
        serving = workspace.galleries.row("default").generation
        assert serving in workspace.galleries.generations("default")
        assert answers(workspace) == before  # opened from disk: whole
        found = workspace.verify()
        assert all(one.servable for one in found.generations)
        assert found.pins[0].passes
        published = workspace.galleries.publish("default")
        assert published.number > serving
        assert len(generations(data)) == 2  # leftovers are gone
        assert json.loads((root / "CURRENT").read_text()) == published.number
        assert answers(workspace) == before
