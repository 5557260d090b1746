"""What people say about answers: kept, listed, taken back, and learned from."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import harness
import httpx
import numpy as np
import pytest
from PIL import Image

from index.labelled import FEWEST_KNOWN
from service.errors import UnknownRecognition
from service.settings import Settings
from service.workspace import open_workspace

THINGS = FEWEST_KNOWN
STRANGERS = range(500, 512)


def settings_of(data: Path, bundle: Path, **more: object) -> Settings:
    return Settings.load({}, data=data, bundle=bundle, threads=1, **more)


def judge(server: harness.Server, gallery: str, photo: bytes, **fields: str) -> dict[str, Any]:
    answer = server.post("/feedback", params={"gallery": gallery}, data=fields, files={"image": ("q.jpg", photo)})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def listed(server: harness.Server, gallery: str) -> dict[str, Any]:
    body: dict[str, Any] = server.get("/feedback", params={"gallery": gallery}).json()
    return body


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[harness.Server]:
    """A server that keeps questions for an hour."""
    with harness.serving(tmp_path_factory.mktemp("keeping") / "data", bundle, keep_queries=1) as server:
        yield server


def test_what_is_said_is_listed_and_taken_back(server: harness.Server, gallery: str) -> None:
    server.add(gallery, "cup", harness.jpeg(1))
    cup = judge(server, gallery, harness.again(1), label="  cup ")
    assert (cup["label"], cup["known"], cup["duplicate"], cup["replaced"], cup["box"]) == (
        "cup",
        True,
        False,
        False,
        None,
    )
    part = judge(server, gallery, harness.again(1), label="handle", box="10,10,90,90")
    assert (part["known"], part["box"], part["sha256"]) == (False, "10,10,90,90", cup["sha256"])
    stranger = judge(server, gallery, harness.jpeg(2), unknown="true")
    assert (stranger["label"], stranger["known"]) == (None, False)

    told = listed(server, gallery)
    assert [one["id"] for one in told["feedback"]] == [stranger["id"], part["id"], cup["id"]]
    assert (told["known"], told["unknown"], told["needed"]) == (1, 2, FEWEST_KNOWN)
    gone = server.client.delete(f"/feedback/{part['id']}", params={"gallery": gallery})
    assert gone.status_code == 204
    again = server.client.delete(f"/feedback/{part['id']}", params={"gallery": gallery})
    assert (again.status_code, again.json()["code"]) == (404, "unknown_feedback")
    assert len(listed(server, gallery)["feedback"]) == 2
    assert server.get("/index", params={"gallery": gallery}).json()["total"] == 1  # nothing was enrolled


def test_the_last_word_counts(server: harness.Server, gallery: str) -> None:
    server.add(gallery, "cup", harness.jpeg(1))
    first = judge(server, gallery, harness.again(1), label="cup")
    same = judge(server, gallery, harness.again(1), label="cup")
    assert (same["id"], same["duplicate"]) == (first["id"], True)
    other = judge(server, gallery, harness.again(1), unknown="true")
    assert (other["duplicate"], other["replaced"], other["known"]) == (False, True, False)
    assert [one["label"] for one in listed(server, gallery)["feedback"]] == [None]


def test_enrolled_photos_do_not_count(server: harness.Server, gallery: str) -> None:
    """They would find themselves."""
    server.add(gallery, "cup", harness.jpeg(1))
    assert judge(server, gallery, harness.jpeg(1), label="cup")["enrolled"]
    assert not judge(server, gallery, harness.jpeg(1), label="cup", box="10,10,90,90")["enrolled"]
    assert not judge(server, gallery, harness.again(2), label="pot")["enrolled"]
    told = listed(server, gallery)
    assert (told["known"], told["unknown"]) == (1, 1)
    server.add(gallery, "pot", harness.again(2))
    told = listed(server, gallery)
    assert (told["known"], told["unknown"]) == (1, 0)
    assert [one["enrolled"] for one in told["feedback"]] == [True, False, True]


def test_it_follows_labels(server: harness.Server, gallery: str) -> None:
    """A label that is renamed, that goes, and that comes."""
    server.add(gallery, "cup", harness.jpeg(1))
    judge(server, gallery, harness.again(1), label="cup")
    judge(server, gallery, harness.again(2), label="pot")
    client, where = server.client, {"gallery": gallery}
    client.patch("/labels/cup", params=where, json={"label": "mug"})
    assert {one["label"]: one["known"] for one in listed(server, gallery)["feedback"]} == {"mug": True, "pot": False}
    server.add(gallery, "pot", harness.jpeg(2))
    client.delete("/labels/mug", params=where)
    assert {one["label"]: one["known"] for one in listed(server, gallery)["feedback"]} == {"mug": False, "pot": True}


def test_an_answer_is_judged_by_its_id(keeping: harness.Server) -> None:
    keeping.add("default", "cup", harness.jpeg(1))
    photo = harness.again(1)
    answer = keeping.ask("default", photo, box="0.1,0.1,0.9,0.9")
    said = keeping.post("/feedback", json={"recognition": answer["id"], "label": "cup"})
    assert said.status_code == 201, said.text
    assert (said.json()["known"], said.json()["box"]) == (True, "0.1,0.1,0.9,0.9")
    as_photo = judge(keeping, "default", photo, label="cup", box="0.1,0.1,0.9,0.9")
    assert (as_photo["id"], as_photo["duplicate"]) == (said.json()["id"], True)

    files = [("images", ("q.jpg", harness.again(seed))) for seed in (1, 2)]
    for result in keeping.post("/recognize/batch", files=files).json()["results"]:
        body = {"recognition": result["recognition"]["id"], "unknown": True}
        assert keeping.post("/feedback", json=body).status_code == 201
    elsewhere = keeping.post("/feedback", params={"gallery": "none"}, json={"recognition": answer["id"], "label": "x"})
    assert elsewhere.json()["code"] == "unknown_gallery"
    for id_ in ("0" * 32, "?"):
        never = keeping.post("/feedback", json={"recognition": id_, "label": "cup"})
        assert (never.status_code, never.json()["code"]) == (404, "unknown_recognition")
        assert "kept for 1 hours" in never.json()["detail"]


def test_photos_may_be_as_large_as_others(keeping: harness.Server) -> None:
    """Larger than what calls without photos may send."""
    keeping.add("default", "cup", harness.jpeg(1))
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1500, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG", quality=95)
    assert len(file.getvalue()) > 2**20
    assert not judge(keeping, "default", file.getvalue(), unknown="true")["known"]


def test_nothing_is_kept_unless_the_settings_say_so(server: harness.Server, gallery: str) -> None:
    server.add(gallery, "cup", harness.jpeg(1))
    answer = server.ask(gallery, harness.again(1))
    said = server.post("/feedback", params={"gallery": gallery}, json={"recognition": answer["id"], "label": "cup"})
    assert said.status_code == 404
    assert "WHICHONE_KEEP_QUERIES" in said.json()["detail"]


def test_what_is_kept_is_forgotten_in_time(tmp_path: Path, bundle: Path) -> None:
    data = tmp_path / "data"
    with open_workspace(settings_of(data, bundle, keep_queries=1.0)) as workspace:
        workspace.enrol("cup", [harness.jpeg(1)])
        ids = [workspace.recognize(harness.again(1)).id for _ in range(2)]
        assert workspace.kept_queries.forget() == 0
        assert workspace.feedback.about_recognition("default", ids[0], "cup").known
    with open_workspace(settings_of(data, bundle, keep_queries=1e-6)) as workspace:
        ids.append(workspace.recognize(harness.again(2)).id)
        time.sleep(0.01)
        for id_ in ids:
            with pytest.raises(UnknownRecognition):
                workspace.feedback.about_recognition("default", id_, "cup")
        assert workspace.kept_queries.forget() == 3
    with open_workspace(settings_of(data, bundle)) as workspace:
        workspace.recognize(harness.again(1))
        assert workspace.kept_queries.forget() == 0


def test_enough_feedback_calibrates_the_gallery(tmp_path: Path, bundle: Path) -> None:
    with open_workspace(settings_of(tmp_path / "data", bundle, verification="off")) as workspace:
        for thing in range(THINGS):
            workspace.enrol(f"thing {thing}", [harness.jpeg(thing), harness.jpeg(thing, (200, 150))])
        for stranger in STRANGERS:
            workspace.feedback.about_photo("default", harness.again(stranger), None)
        for thing in range(THINGS):
            if thing == THINGS - 1:
                assert workspace.galleries.learning.calibrate("default", 0.1).calibration.source == "gallery"
            workspace.feedback.about_photo("default", harness.again(thing), f"thing {thing}")
        [stale] = workspace.galleries.learning.stale()  # so that a server would calibrate it by itself
        assert workspace.galleries.learning.calibrate_in_background(stale)
        calibration = workspace.galleries.learning.calibrate("default").calibration
        assert (calibration.source, calibration.n_known, calibration.n_unknown) == ("labelled", THINGS, len(STRANGERS))
        published = workspace.galleries.publish("default")
        assert published.number == 1
        assert workspace.galleries.learning.calibrate("default").calibration == calibration


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "neither": ({"recognition": "x"}, "label"),
    "both": ({"recognition": "x", "label": "cup", "unknown": True}, "unknown"),
    "no text": ({"recognition": "x", "label": 7}, "label"),
    "no flag": ({"recognition": "x", "unknown": "maybe"}, "unknown"),
    "no recognition": ({"label": "cup"}, "recognition"),
    "a recognition of another kind": ({"recognition": 7, "label": "cup"}, "recognition"),
    "an empty label": ({"recognition": "x", "label": " "}, "label"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_words_are_refused(server: harness.Server, gallery: str, name: str) -> None:
    server.add(gallery, "cup", harness.jpeg(1))
    body, field = BAD[name]
    answer = server.post("/feedback", params={"gallery": gallery}, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] == field
    if "recognition" in body and isinstance(body["recognition"], str):
        fields = {member: str(value) for member, value in body.items() if member != "recognition"}
        form = server.post(
            "/feedback", params={"gallery": gallery}, data=fields, files={"image": ("q.jpg", harness.jpeg(2))}
        )
        if name != "no text":  # in a form all is text
            assert form.json()["field"] == field, form.text
            assert listed(server, gallery)["feedback"] == []


def test_a_photo_that_is_none_is_refused(server: harness.Server, gallery: str) -> None:
    server.add(gallery, "cup", harness.jpeg(1))
    for photo, data in ((b"no photo", {"label": "x"}), (harness.jpeg(2), {"label": "x", "box": "1,2"})):
        answer: httpx.Response = server.post(
            "/feedback", params={"gallery": gallery}, data=data, files={"image": ("q.jpg", photo)}
        )
        assert answer.status_code == 422, answer.text
    missing = server.post("/feedback", params={"gallery": gallery}, data={"label": "x"}, files={"photo": b"x"})
    assert (missing.status_code, missing.json()["field"]) == (422, "image")


def test_the_audit_log_tells_of_it(server: harness.Server, gallery: str) -> None:
    """The log says that something was said, by whom, and of which photo."""
    server.add(gallery, "cup", harness.jpeg(1))
    said = judge(server, gallery, harness.again(1), label="cup")
    entries = server.get("/audit", params={"gallery": gallery}).json()["entries"]
    entry = next(entry for entry in entries if entry["action"] == "feedback_given")
    assert entry["subject"] == said["id"]
    assert json.dumps(entry["detail"], sort_keys=True) == json.dumps({"label": "cup", "sha256": said["sha256"]})
