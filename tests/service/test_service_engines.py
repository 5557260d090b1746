"""A gallery changes its engine by a new generation, and keeps it for those after."""

from __future__ import annotations

from pathlib import Path

import harness
import pytest

from index.engines import InvalidEngineSpec
from service.settings import Settings
from service.workspace import Workspace, open_workspace


def settings_of(data: Path, bundle: Path) -> Settings:
    return Settings.load({}, data=data, bundle=bundle, threads=1)


def fill(workspace: Workspace) -> None:
    for thing in range(4):
        workspace.enrol(
            f"thing {thing}", [harness.jpeg(thing, (160 + 32 * shot, 120 + 24 * shot)) for shot in range(2)]
        )


def engine_of(workspace: Workspace) -> str:
    return workspace.galleries.replica("default").inspect(lambda state: state.recognizer.index.spec.kind)


def test_the_engine_is_changed_kept_and_served(tmp_path: Path, bundle: Path) -> None:
    with open_workspace(settings_of(tmp_path / "data", bundle)) as workspace:
        fill(workspace)
        before = workspace.recognize(harness.again(1)).answer.verdict
        assert workspace.galleries.publish("default").manifest.asked == "flat"
        assert engine_of(workspace) == "flat"
        generation = workspace.galleries.publish("default", "ivf,lists=2")
        assert generation.manifest.recall == 1.0
        assert engine_of(workspace) == "ivf"  # this process turned to it by itself
        assert workspace.recognize(harness.again(1)).answer.verdict == before
        workspace.enrol("late", [harness.jpeg(9)])
        assert workspace.recognize(harness.jpeg(9)).answer.verdict.label == "late"
        assert workspace.galleries.publish("default").manifest.asked == "ivf,lists=2"
        assert workspace.recognize(harness.jpeg(9)).answer.verdict.label == "late"
        with pytest.raises(InvalidEngineSpec, match="ivf has no 'probe'"):
            workspace.galleries.publish("default", "ivf,probe=3")
        assert workspace.galleries.generations("default") == [1, 2, 3]
    with open_workspace(settings_of(tmp_path / "data", bundle)) as workspace:
        assert engine_of(workspace) == "ivf"
        assert workspace.galleries.publish("default", "flat").manifest.asked == "flat"
        assert engine_of(workspace) == "flat"
