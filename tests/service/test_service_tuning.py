"""What a gallery learns, keeps and serves by: local features, tunings, settings that switch parts, old databases."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import harness
import pytest
from alembic import command
from alembic.config import Config

import service
from index.receipt import check_arithmetic
from service.database import Database
from service.errors import InvalidSetting
from service.gallery.galleries import Galleries
from service.settings import Settings
from service.workspace import Workspace, open_workspace


def settings_of(data: Path, bundle: Path, **more: object) -> Settings:
    return Settings.load({}, data=data, bundle=bundle, threads=1, **more)


def fill(workspace: Workspace, things: int = 3, photos: int = 2) -> None:
    """Things of some photos each; a thing's photos are the same blocks at other sizes."""
    for thing in range(things):
        shots = [harness.jpeg(thing, (160 + 32 * shot, 120 + 24 * shot)) for shot in range(photos)]
        workspace.enrol(f"thing {thing}", shots)


def rows(data: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(data / "whichone.db")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_items_get_local_features_and_distractors_none(tmp_path: Path, bundle: Path) -> None:
    with open_workspace(settings_of(tmp_path / "data", bundle)) as workspace:
        workspace.enrol("thing", [harness.jpeg(1)])
        workspace.enrol(None, [harness.jpeg(2), harness.grey()])
        features = workspace.galleries.replica("default").inspect(lambda state: state.recognizer.features)
        [number] = features.numbers().tolist()
        held = features.get(number)
    stored = rows(tmp_path / "data", "SELECT kind, local FROM items ORDER BY number")
    assert [(kind, len(local) > 0) for kind, local in stored] == [
        ("item", True),
        ("distractor", False),
        ("distractor", False),
    ]
    assert held is not None
    assert held.to_bytes() == stored[0][1]
    assert len(held) > 0


def test_a_query_s_features_are_extracted_only_where_they_could_matter(tmp_path: Path, bundle: Path) -> None:
    with open_workspace(settings_of(tmp_path / "data", bundle, verification="on")) as workspace:
        fill(workspace)
        workspace.galleries.learning.calibrate("default")
        seen = workspace.recognize(harness.again(1), explain=True)
        same = workspace.recognize(harness.jpeg(1, (160, 120)), explain=True)
        blank = workspace.recognize(harness.grey(), explain=True)
    for recognition in (seen, same, blank):
        assert recognition.answer.receipt is not None
        assert check_arithmetic(recognition.answer.receipt) == []
        assert (recognition.timing.verify > 0) == bool(recognition.answer.receipt.verified)
    assert seen.timing.verify > 0
    assert same.timing.verify == 0  # the gallery holds this very photo: nothing is left to verify
    assert blank.timing.verify == 0
    assert seen.answer.receipt is not None
    assert seen.answer.receipt.verified[0].inliers > 0


def test_the_same_question_alone_or_again_gets_the_same_answer(tmp_path: Path, bundle: Path) -> None:
    with open_workspace(settings_of(tmp_path / "data", bundle, verification="on", adaptation="on")) as workspace:
        fill(workspace, things=4)
        workspace.galleries.learning.calibrate("default")
        workspace.galleries.publish("default")
        first = workspace.recognize(harness.again(1), explain=True).answer
    with open_workspace(settings_of(tmp_path / "data", bundle, verification="on", adaptation="on")) as workspace:
        again = workspace.recognize(harness.again(1), explain=True).answer  # from the generation on disk
    assert first.receipt is not None
    assert first.receipt.learned is not None
    assert first.receipt.learned.adaptation_sha256 is not None
    assert again == first


def test_settings_switch_the_parts(tmp_path: Path, bundle: Path) -> None:
    for mode, used in (("off", [False, False]), ("on", [True, True])):
        with open_workspace(settings_of(tmp_path / mode, bundle, adaptation=mode, verification=mode)) as workspace:
            fill(workspace)
            tuning = workspace.galleries.learning.calibrate("default")
            assert [(choice.part, choice.used, choice.why) for choice in tuning.body.choices] == [
                ("adaptation", used[0], mode),
                ("centring", False, "default"),  # a server has no labelled queries
                ("ranking", False, "default"),
                ("verification", used[1], mode),
            ]
            assert workspace.galleries.learning.choices(workspace.galleries.row("default")) == tuning.body.choices
    assert rows(tmp_path / "off", "SELECT DISTINCT length(local) FROM items") == [(0,)]
    [(_, pipeline)] = rows(tmp_path / "on", "SELECT change, pipeline FROM calibrations")
    assert json.loads(str(pipeline))["verification"]["mode"] == "on"
    with pytest.raises(InvalidSetting, match="WHICHONE_VERIFICATION"):
        settings_of(tmp_path, bundle, verification="perhaps")


def test_another_setting_takes_effect_with_the_next_start_and_only_once(tmp_path: Path, bundle: Path) -> None:
    data = tmp_path / "data"

    def outdated(galleries: Galleries) -> list[str]:
        return [entry.name for entry in galleries.learning.stale()]

    with open_workspace(settings_of(data, bundle)) as workspace:
        fill(workspace)
        workspace.galleries.learning.calibrate("default")
        workspace.start()
        assert outdated(workspace.galleries) == []
    with (
        open_workspace(settings_of(data, bundle, adaptation="on")) as one,
        open_workspace(settings_of(data, bundle)) as other,
    ):
        one.start()
        other.start()
        [entry] = one.galleries.learning.stale()
        assert one.galleries.learning.calibrate_in_background(entry)
        assert one.recognize(harness.again(1), explain=True).answer.receipt is not None
        # The other process sees a tuning that is not of its settings, and leaves it.
        assert outdated(one.galleries) == outdated(other.galleries) == []


def test_a_gallery_is_calibrated_for_the_share_of_strangers_that_is_told(tmp_path: Path, bundle: Path) -> None:
    data = tmp_path / "data"
    with open_workspace(settings_of(data, bundle)) as workspace:
        fill(workspace)
        workspace.galleries.learning.calibrate("default")
    [(pipeline,)] = rows(data, "SELECT pipeline FROM calibrations")
    assert "unknown_share" not in json.loads(str(pipeline))  # as releases wrote it that did not know the setting
    with open_workspace(settings_of(data, bundle, unknown_share=0.1)) as workspace:
        workspace.start()
        [entry] = workspace.galleries.learning.stale()
        assert workspace.galleries.learning.calibrate_in_background(entry)
        receipt = workspace.recognize(harness.again(1), explain=True).answer.receipt
        assert receipt is not None
        assert receipt.pipeline.unknown_share == 0.1
        assert check_arithmetic(receipt) == []
    stored = rows(data, "SELECT body FROM calibrations ORDER BY change")
    priors = [json.loads(str(body))["calibration"]["unknown_prior"] for (body,) in stored]
    assert priors[0] == 0.5
    assert priors[-1] == 0.1
    with pytest.raises(InvalidSetting, match="WHICHONE_UNKNOWN_SHARE"):
        settings_of(tmp_path, bundle, unknown_share=1.0)


def test_what_a_gallery_is_told_outweighs_the_settings(tmp_path: Path, bundle: Path) -> None:
    data = tmp_path / "data"
    with open_workspace(settings_of(data, bundle)) as workspace:
        fill(workspace)
        tuning = workspace.galleries.learning.calibrate("default", unknown_share=0.2)
        assert tuning.calibration.unknown_prior == 0.2
    with open_workspace(settings_of(data, bundle, unknown_share=0.1)) as workspace:
        workspace.start()
        assert workspace.galleries.learning.stale() == []  # the settings say something about other galleries
        published = workspace.galleries.publish("default", None)
        workspace.enrol("one more", [harness.jpeg(77)])
        [entry] = workspace.galleries.learning.stale()
        assert workspace.galleries.learning.calibrate_in_background(entry)
        receipt = workspace.recognize(harness.again(1), explain=True).answer.receipt
        assert receipt is not None
        assert receipt.pipeline.unknown_share == 0.2
        workspace.galleries.rollback("default", published.number)
        again = workspace.recognize(harness.again(1), explain=True).answer.receipt
        assert again is not None
        assert again.pipeline.unknown_share == 0.2
        workspace.galleries.publish("default", None)
        back = workspace.galleries.learning.calibrate("default", unknown_share=None)
        assert back.calibration.unknown_prior == 0.1
        assert workspace.galleries.learning.stale() == []
    stored = rows(data, "SELECT json_extract(pipeline, '$.unknown_share') FROM calibrations ORDER BY change")
    assert [share for (share,) in stored][-2:] == [0.2, 0.1]


def test_refresh_gives_features_to_photos_that_have_none(tmp_path: Path, bundle: Path) -> None:
    data = tmp_path / "data"
    with open_workspace(settings_of(data, bundle, verification="off")) as workspace:
        fill(workspace)
        workspace.enrol(None, [harness.jpeg(50)])
    with open_workspace(settings_of(data, bundle)) as workspace:
        [lost] = workspace.enrol("lost", [harness.jpeg(60)])
        _forget_features(data, lost.id)
        workspace.photos.path(lost.sha256).unlink()
        told: list[tuple[int, int]] = []
        done = workspace.feature_refresh.run("default", lambda done, total: told.append((done, total)))
        assert (done.items, done.unreadable, told) == (6, [lost.id], [(7, 7)])
        assert [entry.name for entry in workspace.galleries.learning.stale()] == ["default"]
        features = workspace.galleries.replica("default").inspect(lambda state: state.recognizer.features)
        assert len(features) == 6
        again = workspace.feature_refresh.run("default")
        assert (again.items, again.unreadable) == (0, [lost.id])
    with open_workspace(settings_of(tmp_path / "other", bundle)) as workspace:
        fill(workspace)
    query = "SELECT local FROM items WHERE kind = 'item' AND label != 'lost' ORDER BY number"
    assert rows(data, query) == rows(tmp_path / "other", query)


def _forget_features(data: Path, id_: str) -> None:
    connection = sqlite3.connect(data / "whichone.db")
    connection.execute("UPDATE items SET local = x'' WHERE id = ?", (id_,))
    connection.commit()
    connection.close()


def test_a_database_of_before_goes_on(tmp_path: Path, bundle: Path) -> None:
    """Items without features, a calibration of the old shape, a generation on disk that nobody can read any more."""
    data = tmp_path / "data"
    with open_workspace(settings_of(data, bundle, verification="off")) as workspace:
        fill(workspace)
        workspace.galleries.publish("default")
        expected = workspace.recognize(harness.again(1)).answer.verdict.to_json()
    _downgrade(data)
    connection = sqlite3.connect(data / "whichone.db")
    connection.execute("UPDATE calibrations SET body = ?", (json.dumps({"score_weight": 1.0, "threshold": 0.5}),))
    connection.commit()
    connection.close()
    manifest = data / "galleries/default/generations/1/manifest.json"
    body = json.loads(manifest.read_text())
    del body["files"]["features.bin"], body["sha256"]
    manifest.write_text(json.dumps(body))
    (data / "galleries/default/generations/1/features.bin").unlink()

    with open_workspace(settings_of(data, bundle, verification="off")) as workspace:
        workspace.start()
        assert workspace.galleries.row("default").generation == 0
        assert [entry.name for entry in workspace.galleries.learning.stale()] == ["default"]
        assert workspace.recognize(harness.again(1)).answer.verdict.to_json() == expected
        assert workspace.galleries.publish("default").number == 2
        workspace.enrol("new", [harness.jpeg(70)])
        assert workspace.feature_refresh.run("default").items == 7


def _downgrade(data: Path) -> None:
    """As a database of the version before: its columns, and what its columns could say."""
    database = Database(Settings.load({}, data=data))
    with database.engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(service.__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    database.close()
