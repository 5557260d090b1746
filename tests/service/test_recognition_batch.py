"""`POST /recognize/batch`: the verdicts of one by one, and errors per photo."""

from __future__ import annotations

from typing import Any

import harness
import pytest
from harness import Server


def _batch(server: Server, gallery: str, *photos: bytes, **fields: str) -> list[dict[str, Any]]:
    files = [("images", (f"{at}.jpg", photo)) for at, photo in enumerate(photos)]
    answer = server.post("/recognize/batch", params={"gallery": gallery}, data=fields, files=files)
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def _lasting(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in ("id", "timing_ms")}


@pytest.fixture(scope="module")
def things(server: Server) -> str:
    for seed in range(4):
        server.add("batches", f"thing {seed}", harness.jpeg(seed), harness.jpeg(seed, (200, 150)))
    return "batches"


def test_a_batch_has_the_verdicts_of_its_photos_alone(server: Server, things: str) -> None:
    photos = [harness.again(seed) for seed in range(2)] + [harness.jpeg(77), harness.again(0)]
    for fields in ({}, {"top_k": "2", "explain": "true"}, {"labels": '["thing 0", "thing 3"]'}, {"search": "inside"}):
        results = _batch(server, things, *photos, **fields)
        alone = [server.ask(things, photo, **fields) for photo in photos]
        assert [_lasting(result["recognition"]) for result in results] == [_lasting(answer) for answer in alone]
        assert len({result["recognition"]["id"] for result in results}) == 4
    assert results[0]["recognition"]["candidates"][0]["label"] == "thing 0"


def test_a_photo_that_cannot_be_read_spoils_no_other(server: Server, things: str) -> None:
    large = b"\xff\xd8\xff" + bytes(500_000)
    good, broken, empty, too_large = _batch(server, things, harness.again(1), b"no photo", b"", large)
    assert set(good) == {"recognition"}
    assert good["recognition"]["candidates"][0]["label"] == "thing 1"
    alone = server.post("/recognize", params={"gallery": things}, files={"image": ("1.jpg", b"no photo")}).json()
    named = {name: value for name, value in alone.items() if name != "request_id"}
    assert {name: broken["problem"][name] for name in named} == named
    assert [photo["problem"]["status"] for photo in (broken, empty, too_large)] == [422, 422, 413]


@pytest.mark.parametrize(
    ("gallery", "fields", "photos", "status", "code"),
    [
        ("batches", {}, 5, 413, "too_many_images"),
        ("batches", {}, 0, 422, "missing_field"),
        ("batches", {"box": "0,0,1,1"}, 1, 422, "unknown_field"),
        ("batches", {"top_k": "0"}, 1, 422, "invalid_field"),
        ("never made", {}, 2, 422, "invalid_gallery_name"),
        ("never-made", {}, 2, 404, "unknown_gallery"),
    ],
)
def test_what_is_wrong_with_all_of_a_batch_is_one_problem(  # noqa: PLR0917  pytest passes them by name
    server: Server, things: str, gallery: str, fields: dict[str, str], photos: int, status: int, code: str
) -> None:
    files = [("images", ("a.jpg", harness.jpeg(1)))] * photos or [("other", ("a.jpg", harness.jpeg(1)))]
    answer = server.post("/recognize/batch", params={"gallery": gallery}, data=fields, files=files)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
