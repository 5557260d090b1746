"""Changes over a generation are merged into a new one in the background, and every answer meanwhile is right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import harness
import pytest
import structlog

from index.errors import GenerationCorrupt
from service.errors import GalleryPinned
from service.gallery.merger import Merger, merge_is_due
from service.settings import Settings
from service.workspace import Workspace, open_workspace

AFTER = 5
OFF = {"adaptation": "off", "verification": "off"}


def enrol(workspace: Workspace, *things: int) -> None:
    for thing in things:
        workspace.enrol(f"thing {thing}", [harness.jpeg(thing)])


def standing(workspace: Workspace) -> tuple[int, int, int]:
    """Generation in use, the one that the vectors lie in, and changes over that."""
    return workspace.galleries.replica("default").inspect(
        lambda state: (state.generation, state.opened, state.unmerged())
    )


@pytest.fixture
def workspace(tmp_path: Path, bundle: Path) -> Iterator[Workspace]:
    """Eight things in a generation of IVF, opened from there."""
    settings = Settings.load({}, data=tmp_path / "data", bundle=bundle, threads=1, **OFF)
    with open_workspace(settings) as opened:
        enrol(opened, *range(8))
        opened.galleries.publish("default", "ivf,lists=2,probes=2")
        assert standing(opened) == (1, 1, 0)
        yield opened


@contextmanager
def merging(workspace: Workspace, after: int = AFTER) -> Iterator[None]:
    merger = Merger(workspace.galleries, structlog.get_logger(), after=after)
    merger.start()
    try:
        yield
    finally:
        merger.stop()


def test_it_is_due_after_so_many_changes_or_a_tenth(workspace: Workspace) -> None:
    def due(after: int) -> bool:
        return workspace.galleries.replica("default").inspect(lambda state: merge_is_due(state, after))

    enrol(workspace, 8, 9)
    assert standing(workspace) == (1, 1, 2)
    assert [due(after) for after in (0, 1, 2, 3)] == [False, True, True, False]
    enrol(workspace, *range(10, 21))  # 21 photos: a tenth is more than 2, but not more than the 13 changes
    assert due(1)


def test_a_merge_empties_the_layer_and_what_came_meanwhile_lies_over_it(workspace: Workspace) -> None:
    enrol(workspace, *range(8, 8 + AFTER))
    workspace.gallery.delete_label("default", "thing 0")
    late = iter(range(30, 300))
    with merging(workspace):

        def merged() -> bool:
            thing = next(late)
            enrol(workspace, thing)  # adding goes on; who adds is answered from it at once
            assert workspace.recognize(harness.jpeg(thing)).answer.verdict.label == f"thing {thing}"
            assert workspace.recognize(harness.jpeg(9)).answer.verdict.label == "thing 9"
            assert workspace.recognize(harness.jpeg(0)).answer.verdict.label != "thing 0"
            return standing(workspace)[1] >= 2

        harness.until("the merge", merged)
    generation, opened, unmerged = standing(workspace)
    assert generation == opened >= 2
    assert unmerged < AFTER + 8
    count = next(late) - 30
    assert workspace.galleries.replica("default").sizes()[0] == 7 + AFTER + count
    for thing in [1, 9, *range(30, 30 + count)]:
        assert workspace.recognize(harness.jpeg(thing)).answer.verdict.label == f"thing {thing}"
    workspace.galleries.publish("default")
    assert workspace.galleries.replica("default").take_up()
    assert standing(workspace)[2] == 0
    assert not workspace.galleries.replica("default").take_up()  # once is enough


def test_never_after_a_rollback(workspace: Workspace) -> None:
    workspace.galleries.publish("default")
    workspace.galleries.rollback("default", 1)
    enrol(workspace, *range(8, 8 + 2 * AFTER))
    assert standing(workspace) == (1, 1, 0)
    assert not workspace.galleries.replica("default").take_up()
    with pytest.raises(GalleryPinned):
        workspace.galleries.publish("default", keep_rollback=True)
    assert workspace.galleries.generations("default") == [1, 2]


def test_two_servers_merge_once_and_both_turn_to_it(tmp_path: Path, bundle: Path) -> None:
    data = tmp_path / "data"
    settings = {**OFF, "merge_after": AFTER}
    with harness.serving(data, bundle, **settings) as first, harness.serving(data, bundle, **settings) as second:
        for thing in range(6):
            first.add("shop", f"thing {thing}", harness.jpeg(thing))
        body = {"engine": "ivf,lists=2,probes=2"}
        assert first.post("/galleries/shop/publish", json=body).status_code == 200
        assert second.ask("shop", harness.jpeg(2))["generation"] == 1
        for thing in range(6, 6 + AFTER):
            first.add("shop", f"thing {thing}", harness.jpeg(thing))
            assert second.best("shop", harness.jpeg(thing)) == f"thing {thing}"

        def taken_up() -> bool:
            for server in (first, second):
                for thing in (2, 7):
                    assert server.best("shop", harness.jpeg(thing)) == f"thing {thing}"
            return all('"generation taken up"' in server.log.read_text() for server in (first, second))

        harness.until("both servers to turn to the new generation", taken_up)
        answers = [server.ask("shop", harness.jpeg(3)) for server in (first, second)]
        for answer in answers:
            del answer["id"], answer["timing_ms"]
        assert answers[0] == answers[1]
        assert answers[0]["generation"] == 2
        logs = first.log.read_text() + second.log.read_text()
        assert logs.count('"merged"') == 1


def test_a_generation_that_is_damaged_is_not_turned_to(workspace: Workspace) -> None:
    enrol(workspace, 8)
    generation = workspace.galleries.publish("default")
    damaged = generation.folder / "items.npz"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    with pytest.raises(GenerationCorrupt):
        workspace.galleries.replica("default").take_up()
    assert standing(workspace) == (2, 1, 1)
    assert workspace.recognize(harness.jpeg(8)).answer.verdict.label == "thing 8"
