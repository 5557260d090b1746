"""Photos are measured in the background, and answers are those of photos that were not."""

from __future__ import annotations

from pathlib import Path

import harness
import structlog

from service.gallery.measurer import Measurer
from service.settings import Settings
from service.workspace import Workspace, open_workspace


def unmeasured(workspace: Workspace) -> int:
    """Labels that would be looked at."""
    looked = 0
    while count := workspace.galleries.replica("default").measure(1):
        looked += count
    return looked


def all_measured(workspace: Workspace) -> bool:
    return workspace.galleries.replica("default").inspect(
        lambda state: all(map(state.recognizer.space.measured, state.recognizer.labels()))
    )


def test_a_gallery_that_learned_is_measured_and_answers_the_same(tmp_path: Path, bundle: Path) -> None:
    settings = Settings.load({}, data=tmp_path / "data", bundle=bundle, threads=1, adaptation="on", verification="off")
    with open_workspace(settings) as workspace:
        for thing in range(8):
            workspace.enrol(f"thing {thing}", [harness.jpeg(thing), harness.again(thing)])
        workspace.galleries.learning.calibrate("default")
        before = [workspace.recognize(harness.again(thing)).answer for thing in range(8)]
    with open_workspace(settings) as workspace:
        workspace.galleries.load_all()
        measurer = Measurer(workspace.galleries, structlog.get_logger())
        measurer.start()
        try:
            harness.until("the photos are measured", lambda: all_measured(workspace))
        finally:
            measurer.stop()
        assert unmeasured(workspace) == 0
        assert [workspace.recognize(harness.again(thing)).answer for thing in range(8)] == before
    with open_workspace(settings) as workspace:
        workspace.galleries.load_all()
        assert unmeasured(workspace) == 8  # nobody measured here
