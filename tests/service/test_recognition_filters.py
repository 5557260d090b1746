"""Filters of `POST /recognize` over HTTP: by label, by metadata, by both; on SQLite and PostgreSQL, flat and IVF."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import harness
import pytest
from postgres import fresh_database

from index.filter import Filter
from index.receipt import Receipt, check_arithmetic
from service.settings import Settings
from service.workspace import open_workspace

GALLERY = "filters"
THINGS = 10
METADATA: list[dict[str, Any]] = [
    {"store": "12", "aisle": 3, "ripe": True},
    {"store": 12, "aisle": "3", "ripe": "true"},
    {"store": "13", "aisle": 3.0, "ripe": None},
    {"näme \"x\" a.b": "Blüte 🌷 \\", "ripe": 1, "aisle": 0.1},
    {"nul": "a\u0000b", "store": "12", "big": 2**53 - 1, "deep": {"store": "12"}},
]  # fmt: skip


def fill(server: harness.Server, gallery: str, things: range = range(THINGS)) -> None:
    """Thing n has METADATA n % 5, and one photo; thing 3 another, as its second half."""
    for thing in things:
        metadata = METADATA[thing % len(METADATA)]
        for half in range(2 if thing == 3 else 1):
            photo = harness.jpeg(thing, (160 + 32 * half, 120 + 24 * half))
            server.add(gallery, f"thing {thing}", photo, metadata=json.dumps({**metadata, "half": half}))


@pytest.fixture(scope="module")
def shop(server: harness.Server) -> str:
    fill(server, GALLERY)
    return GALLERY


def asked(server: harness.Server, gallery: str, photo: bytes, **wanted: Any) -> dict[str, Any]:
    """As a form, and the same as JSON, which must say the same."""
    fields = {name: json.dumps(value) for name, value in wanted.items()}
    as_form = server.ask(gallery, photo, top_k="20", **fields)
    body = {"image_base64": base64.b64encode(photo).decode(), "top_k": 20, **wanted}
    answer = server.post("/recognize", params={"gallery": gallery}, json=body)
    assert answer.status_code == 200, answer.text
    as_json: dict[str, Any] = answer.json()
    for told in (as_form, as_json):
        told.pop("id"), told.pop("timing_ms")
    assert as_form == as_json
    return as_form


def labels(answer: dict[str, Any]) -> set[str]:
    return {candidate["label"] for candidate in answer["candidates"]}


def test_labels_are_the_only_candidates(server: harness.Server, shop: str) -> None:
    answer = asked(server, shop, harness.jpeg(3), labels=["thing 3", "thing 5", "thing 8"])
    assert labels(answer) == {"thing 3", "thing 5", "thing 8"}
    assert (answer["verdict"], answer["label"], answer["reason"]) == ("known", "thing 3", "same_photo")
    without = asked(server, shop, harness.jpeg(3), labels=["thing 5", "thing 8", " thing 5 "])
    assert labels(without) == {"thing 5", "thing 8"}
    assert without["label"] != "thing 3"
    plain = server.ask(shop, harness.jpeg(3), top_k="20")
    scores = {candidate["label"]: candidate["score"] for candidate in plain["candidates"]}
    for candidate in without["candidates"]:  # the gallery may have calibrated itself anew meanwhile
        assert candidate["score"] == pytest.approx(scores[candidate["label"]], abs=0.01)


EQUAL: list[tuple[dict[str, Any], set[int]]] = [
    ({"store": "12"}, {0, 4}),
    ({"store": 12}, {1}),
    ({"aisle": 3}, {0, 2}),
    ({"aisle": 3.0}, {0, 2}),
    ({"aisle": "3"}, {1}),
    ({"aisle": 0.1}, {3}),
    ({"ripe": True}, {0}),
    ({"ripe": "true"}, {1}),
    ({"ripe": None}, {2}),
    ({"ripe": 1}, {3}),
    ({"big": 2**53 - 1}, {4}),
    ({'näme "x" a.b': "Blüte 🌷 \\"}, {3}),
    ({"store": "12", "aisle": 3}, {0}),
    ({}, {0, 1, 2, 3, 4}),
]  # fmt: skip
"""Conditions, and which of METADATA meet them."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def either(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, bundle: Path
) -> Iterator[harness.Server]:
    """A server with `shop` on each database."""
    if request.param == "sqlite":
        request.getfixturevalue("shop")
        yield request.getfixturevalue("server")
        return
    url = fresh_database(request.getfixturevalue("postgres"))
    with harness.serving(
        tmp_path_factory.mktemp("postgresql") / "data", bundle, database_url=url, verification="off"
    ) as server:
        fill(server, GALLERY)
        yield server


@pytest.mark.parametrize(("where", "things"), EQUAL)
def test_metadata_is_equal_in_type_and_value(either: harness.Server, where: dict[str, Any], things: set[int]) -> None:
    answer = asked(either, GALLERY, harness.again(1), where=where)
    expected = {f"thing {thing}" for thing in range(THINGS) if thing % len(METADATA) in things}
    assert labels(answer) == expected


@pytest.mark.parametrize("where", [{"store": "99"}, {"no such": None}, {"deep": "store"}, {"store": False}])
def test_nothing_matches(server: harness.Server, shop: str, where: dict[str, Any]) -> None:
    answer = asked(server, shop, harness.jpeg(3), where=where)
    assert (answer["verdict"], answer["reason"], answer["candidates"]) == ("unknown", "nothing_matches_filter", [])
    assert server.ask(shop, harness.jpeg(3), where=json.dumps(where), search="inside")["box"] is None


def test_a_label_whose_photos_match_in_part_is_scored_by_those(server: harness.Server, shop: str) -> None:
    for half in (0, 1):
        answer = asked(server, shop, harness.jpeg(3), labels=["thing 3"], where={"half": half})
        (candidate,) = answer["candidates"]
        assert len(candidate["items"]) == 1
        (item,) = candidate["items"]
        assert server.get(f"/index/{item['id']}", params={"gallery": shop}).json()["metadata"]["half"] == half
        assert answer["reason"] == ("same_photo" if half == 0 else answer["reason"])


def test_the_verdict_is_that_of_a_gallery_of_the_part_alone(tmp_path: Path, bundle: Path) -> None:
    """Adaptation off, and one calibration for both: then nothing is left in which they could differ."""
    off: dict[str, Any] = {"adaptation": "off", "verification": "off"}
    with harness.serving(tmp_path / "data", bundle, **off) as server:
        fill(server, "whole")
        fill(server, "part", range(0, THINGS, 5))
    settings = Settings.load({}, data=tmp_path / "data", bundle=bundle, threads=1, **off)
    wanted = [Filter(where={"store": "12", "aisle": 3}), Filter(labels=("thing 0", "thing 5"))]
    with open_workspace(settings) as workspace:
        workspace.galleries.learning.calibrate("whole")
        tuning = workspace.galleries.replica("whole").inspect(lambda state: state.recognizer.tuning)
        part = workspace.galleries.replica("part")
        part.inspect(lambda state: setattr(state.recognizer, "tuning", tuning))
        photos = [shot(seed) for seed in (0, 5, 7, 300) for shot in (harness.again, harness.jpeg)]
        alone = [part.recognize(workspace.embedder.query(photo), top_k=9).verdict.to_json() for photo in photos]
        for engine in ("flat", "ivf,lists=2,probes=2"):
            workspace.galleries.publish("whole", engine)
            for photo, expected in zip(photos, alone, strict=True):
                for part_of in wanted:
                    answer = workspace.recognize(photo, gallery="whole", top_k=9, wanted=part_of).answer
                    assert without_ids(answer.verdict.to_json()) == without_ids(expected)


def without_ids(verdict: dict[str, Any]) -> dict[str, Any]:
    """The same photo has another id in each gallery."""
    for candidate in verdict["candidates"]:
        for item in candidate["items"]:
            item.pop("id", None)
    return verdict


def test_the_filter_follows_changes(server: harness.Server, gallery: str) -> None:
    fill(server, gallery, range(3))
    sale = {"sale": True}
    assert labels(asked(server, gallery, harness.jpeg(0), where=sale)) == set()
    (item,) = server.add(gallery, "new", harness.jpeg(40), metadata=json.dumps(sale))
    assert labels(asked(server, gallery, harness.jpeg(0), where=sale)) == {"new"}
    other = server.get("/index", params={"gallery": gallery, "label": "thing 1"}).json()["items"][0]["id"]
    patched = server.client.patch(f"/index/{other}", params={"gallery": gallery}, json={"metadata": sale})
    assert patched.status_code == 200
    assert labels(asked(server, gallery, harness.jpeg(0), where=sale)) == {"new", "thing 1"}
    server.client.patch(f"/index/{other}", params={"gallery": gallery}, json={"metadata": {}})
    assert labels(asked(server, gallery, harness.jpeg(0), where=sale)) == {"new"}
    server.client.delete(f"/index/{item['id']}", params={"gallery": gallery})
    assert labels(asked(server, gallery, harness.jpeg(0), where=sale)) == set()
    gone = server.post(
        "/recognize", params={"gallery": gallery}, data={"labels": '["new"]'}, files={"image": harness.jpeg(0)}
    )
    assert (gone.status_code, gone.json()["code"]) == (404, "unknown_label")


@pytest.mark.parametrize(("fields", "refusal"), [
    ({"labels": '["thing 3", "thing 77", "thing 78"]'}, (404, "unknown_label", "'thing 77', 'thing 78'")),
    ({"labels": "thing 3"}, (422, "invalid_field", "must be JSON such as")),
    ({"labels": '"thing 3"'}, (422, "invalid_field", "must be a JSON array")),
    ({"labels": '["thing 3", 4]'}, (422, "invalid_field", "must be a JSON array")),
    ({"labels": "[]"}, (422, "invalid_field", "leave it out")),
    ({"labels": json.dumps([f"l{n}" for n in range(1001)])}, (422, "invalid_field", "names 1001")),
    ({"labels": '["a\\u0007"]'}, (422, "invalid_label", "U+0007")),
    ({"labels": json.dumps(["x" * 250] * 1100)}, (413, "field_too_large", "262144 bytes")),
    ({"where": "store=12"}, (422, "invalid_field", "must be JSON such as")),
    ({"where": "[" * 100_000}, (422, "invalid_field", "must be JSON such as")),
    ({"where": '["store"]'}, (422, "invalid_field", "must be a JSON object")),
    ({"where": '{"store": ["12"]}'}, (422, "invalid_field", "'store'")),
    ({"where": '{"store": {"a": 1}}'}, (422, "invalid_field", "'store'")),
    ({"where": '{"store": NaN}'}, (422, "invalid_field", "numbers up to")),
    ({"where": '{"store": 1e999}'}, (422, "invalid_field", "numbers up to")),
    ({"where": '{"store": 9007199254740992}'}, (422, "invalid_field", "numbers up to")),
    ({"where": json.dumps({f"k{n}": n for n in range(9)})}, (422, "invalid_field", "has 9")),
    ({"where": json.dumps({"k": "x" * 1001})}, (422, "invalid_field", "1001 characters")),
    ({"where": '{"a\\u0000": 1}'}, (422, "invalid_field", "cannot be searched for")),
    ({"where": '{"a": "\\ud800"}'}, (422, "invalid_field", "cannot be searched for")),
])  # fmt: skip
def test_what_cannot_be_used_is_said(
    server: harness.Server, shop: str, fields: dict[str, str], refusal: tuple[int, str, str]
) -> None:
    status, code, says = refusal
    answer = server.post("/recognize", params={"gallery": shop}, data=fields, files={"image": harness.jpeg(3)})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert says in answer.json()["detail"]


def test_the_receipt_tells_the_filter(server: harness.Server, shop: str) -> None:
    wanted = {"labels": '["thing 5", "thing 0", "thing 3"]', "where": '{"store": "12"}'}
    receipt = Receipt.model_validate(server.ask(shop, harness.again(0), explain="true", **wanted)["receipt"])
    assert receipt.about.filter is not None
    assert receipt.about.filter.labels == ("thing 0", "thing 3", "thing 5")
    assert receipt.about.filter.where == {"store": "12"}
    assert {trace.label for trace in receipt.labels} == {"thing 0", "thing 5"}
    assert check_arithmetic(receipt) == []
    nothing = server.ask(shop, harness.again(0), explain="true", where='{"store": "99"}')
    assert check_arithmetic(Receipt.model_validate(nothing["receipt"])) == []
    plain = Receipt.model_validate(server.ask(shop, harness.again(0), explain="true")["receipt"])
    assert plain.about.filter is None


def test_a_receipt_with_a_filter_meets_the_gallery_again(tmp_path: Path, bundle: Path) -> None:
    settings = Settings.load({}, data=tmp_path / "data", bundle=bundle, threads=1, adaptation="off", verification="off")
    with open_workspace(settings) as workspace:
        for thing in range(6):
            workspace.enrol(f"thing {thing}", [harness.jpeg(thing)], metadata={"even": thing % 2 == 0})
        workspace.galleries.publish("default")
        receipts = []
        for wanted in (Filter(labels=("thing 1", "thing 2", "thing 5")), Filter(where={"even": True})):
            receipt = workspace.recognize(harness.again(1), explain=True, wanted=wanted).answer.receipt
            assert receipt is not None
            assert receipt.about.filter == wanted
            receipts.append(receipt)
            replayed = workspace.replay.replay(receipt)
            assert (replayed.same_state, replayed.where, replayed.differences) == (True, "live", [])
        workspace.enrol("thing 1", [harness.again(1)])
        by_label, by_metadata = (workspace.replay.replay(receipt) for receipt in receipts)
        assert (by_label.same_state, by_label.where, by_label.differences) == (True, "generation 1", [])
        assert not by_metadata.same_state  # generations hold no metadata
        assert by_metadata.differences == []  # though what matches is the same still
