"""What `/index`, `/labels`, `/galleries` and `/recognize` do, over HTTP, on a real server."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import quote

import harness
import pytest


def test_an_added_photo_is_found_by_the_next_question(server: harness.Server, gallery: str) -> None:
    for seed, label in enumerate(["beans", "tea", "rice"]):
        server.add(gallery, label, harness.jpeg(seed))
        assert server.best(gallery, harness.jpeg(seed)) == label


def test_an_answer_has_every_field_of_the_contract(server: harness.Server, gallery: str) -> None:
    [item] = server.add(gallery, "beans", harness.jpeg(1), external_id="4711", metadata='{"size": "500 g"}')
    body = server.ask(gallery, harness.jpeg(1), top_k="3", explain="true")
    assert body["verdict"] in {"known", "ambiguous", "unknown"}
    assert (body["label"] == "beans") == (body["verdict"] == "known")
    assert 0 <= body["confidence"] <= 1
    assert body["gallery"] == gallery
    assert body["model"] == "tiny@0"
    assert body["generation"] == 0
    assert set(body["timing_ms"]) == {"decode", "embed", "search", "verify", "total"}
    [candidate] = body["candidates"]
    [matched] = candidate["items"]
    assert matched["id"] == item["id"]
    assert matched["similarity"] == pytest.approx(1, abs=1e-5)
    assert matched["metadata"] == {"size": "500 g"}
    assert server.get(matched["image"]).content == harness.jpeg(1)


def test_the_same_question_gets_the_same_answer_however_it_is_sent(server: harness.Server, gallery: str) -> None:
    server.add(gallery, "beans", harness.jpeg(1))
    server.add(gallery, "tea", harness.jpeg(2))
    server.post(f"/galleries/{gallery}/calibrate")
    photo = harness.jpeg(3)
    answers = [server.ask(gallery, photo), server.ask(gallery, photo)]
    body = {"image_base64": base64.b64encode(photo).decode()}
    answers.append(server.post("/recognize", params={"gallery": gallery}, json=body).json())
    for answer in answers:
        del answer["id"], answer["timing_ms"]
    assert answers[0] == answers[1] == answers[2]


def test_a_box_looks_at_a_part(server: harness.Server, gallery: str) -> None:
    server.add(gallery, "beans", harness.jpeg(1))
    whole = server.ask(gallery, harness.jpeg(1))["candidates"][0]["score"]
    half = server.ask(gallery, harness.jpeg(1), box="0,0,0.5,0.5")["candidates"][0]["score"]
    as_json = server.post(
        "/recognize",
        params={"gallery": gallery},
        json={"image_base64": base64.b64encode(harness.jpeg(1)).decode(), "box": "0,0,80,60"},
    ).json()
    assert half < whole
    assert as_json["candidates"][0]["score"] == half


def test_the_same_photo_and_label_twice_is_one_item(server: harness.Server, gallery: str) -> None:
    photo = harness.jpeg(1)
    first, again = server.add(gallery, "beans", photo, photo)
    [later] = server.add(gallery, "beans", photo)
    [other_label] = server.add(gallery, "tea", photo)
    assert not first["duplicate"]
    assert again == later == first | {"duplicate": True}
    assert not other_label["duplicate"]
    assert first["sha256"] == hashlib.sha256(photo).hexdigest()
    assert server.get("/index", params={"gallery": gallery}).json()["total"] == 2


def test_one_bad_photo_keeps_all_of_a_request_out(server: harness.Server, gallery: str) -> None:
    server.add(gallery, "tea", harness.jpeg(9))
    files = [("images", ("good.jpg", harness.jpeg(1))), ("images", ("bad.jpg", b"no picture at all"))]
    answer = server.post("/index", params={"gallery": gallery}, data={"label": "beans"}, files=files)
    assert answer.status_code == 422
    assert answer.json()["code"] == "not_an_image"
    assert answer.json()["field"] == "images[1]"
    assert "bad.jpg" in answer.json()["detail"]
    assert server.get("/index", params={"gallery": gallery}).json()["total"] == 1


def test_pages_and_filters(server: harness.Server, gallery: str) -> None:
    for seed in range(5):
        server.add(gallery, f"label {seed % 2}", harness.jpeg(seed), external_id=f"x{seed}")
    files = {"images": ("d.jpg", harness.jpeg(50))}
    assert server.post("/index/distractors", params={"gallery": gallery}, files=files).status_code == 201
    seen, after = [], None
    while True:
        query = {"gallery": gallery, "limit": 4} | ({"after": after} if after else {})
        page = server.get("/index", params=query).json()
        assert page["total"] == 6
        seen += [item["external_id"] for item in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert seen == ["x0", "x1", "x2", "x3", "x4", None]

    def total(**wanted: str) -> int:
        return int(server.get("/index", params={"gallery": gallery, **wanted}).json()["total"])

    assert total(label="label 0") == 3
    assert total(external_id="x3") == 1
    assert total(kind="distractor") == 1
    assert total(kind="item", label="label 1", external_id="x0") == 0


def test_distractors_are_no_labels_and_count(server: harness.Server, gallery: str) -> None:
    server.add(gallery, "beans", harness.jpeg(1))
    before = server.ask(gallery, harness.jpeg(7))["penalty"]
    files = [("images", ("d.jpg", harness.jpeg(7)))]
    server.post("/index/distractors", params={"gallery": gallery}, files=files)
    body = server.ask(gallery, harness.jpeg(7))
    assert before == 0
    assert body["penalty"] == pytest.approx(1, abs=1e-5)
    assert [candidate["label"] for candidate in body["candidates"]] == ["beans"]
    [info] = [g for g in server.get("/galleries").json()["galleries"] if g["name"] == gallery]
    assert (info["items"], info["labels"], info["distractors"]) == (1, 1, 1)


def test_an_item_can_be_seen_changed_and_deleted(server: harness.Server, gallery: str) -> None:
    [item] = server.add(gallery, "beans", harness.jpeg(1))
    where, query = f"/index/{item['id']}", {"gallery": gallery}
    info = server.get(where, params=query).json()
    assert (info["width"], info["height"], info["kind"]) == (160, 120, "item")
    changed = server.client.patch(where, params=query, json={"label": "tea", "metadata": {"a": [1, None]}}).json()
    assert (changed["label"], changed["metadata"]) == ("tea", {"a": [1, None]})
    assert server.best(gallery, harness.jpeg(1)) == "tea"
    image = server.get(f"{where}/image", params=query)
    assert image.headers["content-type"] == "image/jpeg"
    assert server.client.delete(where, params=query).status_code == 204
    for answer in (server.get(where, params=query), server.client.delete(where, params=query)):
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_item")
    assert server.best(gallery, harness.jpeg(1)) is None


def test_relabelling_onto_the_same_photo_is_a_conflict(server: harness.Server, gallery: str) -> None:
    [item] = server.add(gallery, "beans", harness.jpeg(1))
    server.add(gallery, "tea", harness.jpeg(1))
    answer = server.client.patch(f"/index/{item['id']}", params={"gallery": gallery}, json={"label": "tea"})
    assert (answer.status_code, answer.json()["code"]) == (409, "duplicate")


@pytest.mark.parametrize(
    "label", ["a/b/c", "../up", "/lead", "50 % off?", "naïve ☕️ 🫘", "#1 & more", "日本茶", "a//b"]
)
def test_labels_of_any_spelling_work_in_paths(server: harness.Server, gallery: str, label: str) -> None:
    server.add(gallery, label, harness.jpeg(1))
    where = "/labels/" + quote(label, safe="").replace(".", "%2E")
    assert server.best(gallery, harness.jpeg(1)) == label
    renamed = server.client.patch(where, params={"gallery": gallery}, json={"label": label + " 2"})
    assert renamed.status_code == 200, renamed.text
    assert server.best(gallery, harness.jpeg(1)) == label + " 2"
    removed = server.client.delete(where + "%202", params={"gallery": gallery})
    assert removed.json() == {"label": label + " 2", "removed": 1}
    assert server.get("/labels", params={"gallery": gallery}).json() == {"labels": []}


def test_a_label_has_one_spelling(server: harness.Server, gallery: str) -> None:
    server.add(gallery, "  cafe\u0301 ", harness.jpeg(1))
    [item] = server.add(gallery, "café", harness.jpeg(1))
    assert item["duplicate"]
    assert server.get("/labels", params={"gallery": gallery}).json() == {"labels": [{"label": "café", "items": 1}]}


def test_renaming_onto_a_label_merges_and_drops_doubles(server: harness.Server, gallery: str) -> None:
    server.add(gallery, "beans", harness.jpeg(1), harness.jpeg(2))
    server.add(gallery, "coffee", harness.jpeg(2), harness.jpeg(3))
    answer = server.client.patch("/labels/beans", params={"gallery": gallery}, json={"label": "coffee"})
    assert answer.json() == {"label": "coffee", "items": 3, "dropped": 1, "merged": True}
    assert server.get("/labels", params={"gallery": gallery}).json() == {"labels": [{"label": "coffee", "items": 3}]}
    body = server.ask(gallery, harness.jpeg(1), top_k="10")
    assert [candidate["label"] for candidate in body["candidates"]] == ["coffee"]


def test_galleries_do_not_mix(server: harness.Server, gallery: str) -> None:
    [item] = server.add(gallery, "beans", harness.jpeg(1))
    server.add(gallery + "-b", "tea", harness.jpeg(2))
    assert server.best(gallery + "-b", harness.jpeg(1)) == "tea"
    answer = server.get(f"/index/{item['id']}", params={"gallery": gallery + "-b"})
    assert answer.json()["code"] == "unknown_item"


def test_the_gallery_calibrates_itself_after_a_change(server: harness.Server, gallery: str) -> None:
    server.add(gallery, "beans", harness.jpeg(1))
    first = server.ask(gallery, harness.jpeg(1))
    assert first["reason"] != "not_calibrated"
    for seed in range(2, 12):
        server.add(gallery, f"label {seed}", harness.jpeg(seed))
    harness.until("a new calibration", lambda: server.ask(gallery, harness.jpeg(1))["threshold"] != first["threshold"])


def test_calibrate_keeps_the_budget_it_is_given(server: harness.Server, gallery: str) -> None:
    for seed in range(4):
        server.add(gallery, f"label {seed}", harness.jpeg(seed))
    answer = server.post(f"/galleries/{gallery}/calibrate", json={"far_budget": 0.2}).json()
    assert answer["far_budget"] == 0.2
    body = server.ask(gallery, harness.jpeg(1))
    assert (body["far_budget"], body["threshold"]) == (0.2, pytest.approx(answer["threshold"], abs=1e-6))
    again = server.post(f"/galleries/{gallery}/calibrate").json()
    assert again["far_budget"] == 0.2


def test_a_gallery_is_told_its_share_of_strangers(server: harness.Server, gallery: str) -> None:
    def told() -> float | None:
        [row] = [row for row in server.get("/galleries").json()["galleries"] if row["name"] == gallery]
        share: float | None = row["unknown_share"]
        return share

    def calibrated(**body: float | None) -> tuple[float | None, float]:
        answer = server.post(f"/galleries/{gallery}/calibrate", json=body).json()
        return answer["unknown_share"], answer["calibration"]["unknown_prior"]

    for seed in range(4):
        server.add(gallery, f"label {seed}", harness.jpeg(seed))
    assert calibrated() == (None, 0.5)
    assert told() is None
    few = [calibrated(unknown_share=0.1), server.ask(gallery, harness.again(1))["confidence"]]
    assert (few[0], told()) == ((0.1, 0.1), 0.1)
    assert calibrated(far_budget=0.2) == (0.1, 0.1)  # what is left out stays
    receipt = server.ask(gallery, harness.again(1), explain="true")["receipt"]
    assert receipt["pipeline"]["unknown_share"] == 0.1
    many = [calibrated(unknown_share=0.9), server.ask(gallery, harness.again(1))["confidence"]]
    assert many[1] < few[1]
    server.add(gallery, "label 9", harness.jpeg(9))
    assert calibrated() == (0.9, 0.9)
    assert calibrated(unknown_share=None) == (None, 0.5)  # back to the settings
    assert told() is None


def test_rollback_pins_and_publish_frees(server: harness.Server, gallery: str) -> None:
    def generation() -> int:
        return int(server.ask(gallery, harness.jpeg(1))["generation"])

    server.add(gallery, "beans", harness.jpeg(1))
    assert server.post(f"/galleries/{gallery}/publish").json()["generation"] == 1
    server.add(gallery, "tea", harness.jpeg(2))
    assert server.post(f"/galleries/{gallery}/publish").json()["items"] == 2
    assert (generation(), server.best(gallery, harness.jpeg(2))) == (2, "tea")

    back = server.post(f"/galleries/{gallery}/rollback").json()
    assert (back["generation"], back["pinned"]) == (1, True)
    server.add(gallery, "rice", harness.jpeg(3))  # stored, but not served
    assert (generation(), server.best(gallery, harness.jpeg(3))) == (1, "beans")
    refused = server.post(f"/galleries/{gallery}/calibrate")
    assert (refused.status_code, refused.json()["code"]) == (409, "gallery_pinned")
    [info] = [g for g in server.get("/galleries").json()["galleries"] if g["name"] == gallery]
    assert (info["pinned"], info["generation"], info["items"], info["generations"]) == (True, 1, 3, [1, 2])

    assert server.post(f"/galleries/{gallery}/publish").json()["generation"] == 3
    assert (generation(), server.best(gallery, harness.jpeg(3))) == (3, "rice")
    assert server.post(f"/galleries/{gallery}/rollback", json={"generation": 2}).json()["items"] == 2
    assert server.best(gallery, harness.jpeg(3)) in {"beans", "tea"}


def test_rolling_back_to_nothing_is_refused(server: harness.Server, gallery: str) -> None:
    server.add(gallery, "beans", harness.jpeg(1))
    answer = server.post(f"/galleries/{gallery}/rollback")
    assert (answer.status_code, answer.json()["code"]) == (404, "generation_not_found")
