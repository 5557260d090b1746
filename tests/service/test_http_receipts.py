"""`explain=true`: a receipt that adds up, over HTTP, on a real server; and what a gallery says of the parts it uses."""

from __future__ import annotations

import hashlib
from typing import Any

import harness
import pytest

from index.receipt import Receipt, check_arithmetic


@pytest.fixture(scope="module")
def shop(server: harness.Server) -> str:
    """A gallery of 12 labels."""
    for seed in range(12):
        server.add("receipts", f"label {seed}", harness.jpeg(seed))
    server.post("/galleries/receipts/calibrate")
    return "receipts"


def receipt_of(answer: dict[str, Any]) -> Receipt:
    return Receipt.model_validate(answer["receipt"])


@pytest.mark.parametrize("seed", [3, 400, 401, 402])
def test_the_receipt_of_an_answer_adds_up_and_says_what_the_answer_says(
    server: harness.Server, shop: str, seed: int
) -> None:
    photo = harness.jpeg(seed)
    answer = server.ask(shop, photo, explain="true")
    receipt = receipt_of(answer)
    assert check_arithmetic(receipt) == []
    about = receipt.about
    assert about.image_sha256 == hashlib.sha256(photo).hexdigest()
    assert (about.gallery, about.change, about.generation) == (shop, answer["change"], answer["generation"])
    assert (about.model, about.box, about.pinned) == (answer["model"], None, False)
    decision = receipt.decision
    assert (decision.verdict, decision.label, decision.reason) == (answer["verdict"], answer["label"], answer["reason"])
    assert decision.confidence == pytest.approx(answer["confidence"], abs=1e-6)
    for told, candidate in zip(receipt.labels, answer["candidates"], strict=True):
        assert told.label == candidate["label"]
        assert told.score == pytest.approx(candidate["score"], abs=1e-6)
        assert [photo.id for photo in told.photos] == [item["id"] for item in candidate["items"]]
    if receipt.verified:
        assert answer["timing_ms"]["verify"] > 0


def test_without_explain_there_is_none(server: harness.Server, shop: str) -> None:
    assert "receipt" not in server.ask(shop, harness.jpeg(3))


def test_explaining_changes_no_answer(server: harness.Server, shop: str) -> None:
    for top_k in ("1", "2", "7"):
        plain = server.ask(shop, harness.jpeg(400), top_k=top_k)
        told = server.ask(shop, harness.jpeg(400), top_k=top_k, explain="true")
        receipt = receipt_of(told)
        assert len(receipt.labels) == max(int(top_k), 3)  # as many as the verdict depends on
        assert check_arithmetic(receipt) == []
        for candidate in told["candidates"]:
            for item in candidate["items"]:
                for name in ("external_id", "metadata", "image"):
                    del item[name]
        for body in (plain, told):
            for name in ("id", "timing_ms", "receipt"):
                body.pop(name, None)
        assert plain == told


def test_the_box_is_in_the_receipt(server: harness.Server, shop: str) -> None:
    receipt = receipt_of(server.ask(shop, harness.jpeg(3), box="0,0,0.5,0.5", explain="true"))
    assert receipt.about.box is not None
    assert [float(side) for side in receipt.about.box.split(",")] == [0, 0, 0.5, 0.5]
    assert check_arithmetic(receipt) == []


def test_an_unusable_photo_s_receipt_says_why(server: harness.Server, shop: str) -> None:
    receipt = receipt_of(server.ask(shop, harness.grey(), explain="true"))
    assert (receipt.decision.reason, receipt.decision.defect) == ("unusable_photo", "blank")
    assert check_arithmetic(receipt) == []


def test_an_empty_gallery_s_receipt(server: harness.Server) -> None:
    receipt = receipt_of(server.ask("default", harness.jpeg(1), explain="true"))
    assert (receipt.decision.reason, receipt.labels, receipt.learned) == ("empty_gallery", (), None)
    assert check_arithmetic(receipt) == []


def test_calibrating_tells_which_parts_are_used_and_why(server: harness.Server, shop: str) -> None:
    answer = server.post(f"/galleries/{shop}/calibrate").json()
    assert {choice["part"] for choice in answer["choices"]} == {"adaptation", "centring", "ranking", "verification"}
    for choice in answer["choices"]:
        assert choice["why"] in {"measured", "default"}
        assert (choice["right_with"] is None) == (choice["queries"] == 0)
    assert answer["calibration"]["threshold"] == answer["threshold"]
    [info] = [info for info in server.get("/galleries").json()["galleries"] if info["name"] == shop]
    assert info["choices"] == answer["choices"]
    assert (info["items"], info["without_features"]) == (12, 0)
    [empty] = [info for info in server.get("/galleries").json()["galleries"] if info["name"] == "default"]
    assert empty["choices"] == []
