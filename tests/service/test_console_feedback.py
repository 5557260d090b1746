"""Feedback in the console: an answer is confirmed or put right, and what was said is listed and taken back."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from typing import Any

import harness
import numpy as np
import pytest
from PIL import Image
from visiting import MARKUP, Visitor, browsing, expect, marks, visiting

from index.labelled import FEWEST_KNOWN

pytestmark = marks


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as running:
        yield running


@pytest.fixture
def visitor(browser: Any, server: harness.Server) -> Iterator[Visitor]:
    with visiting(browser, server.url) as one:
        yield one


@pytest.fixture
def keeper(visitor: Visitor) -> Visitor:
    """A visitor who has given the admin key."""
    visitor.has_given(harness.ADMIN)
    return visitor


def say(server: harness.Server, gallery: str, photo: bytes, **fields: str) -> None:
    answer = server.post("/feedback", params={"gallery": gallery}, data=fields, files={"image": ("q.jpg", photo)})
    assert answer.status_code == 201, answer.text


def listed(server: harness.Server, gallery: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = server.get("/feedback", params={"gallery": gallery}).json()["feedback"]
    return entries


def labels(server: harness.Server, gallery: str) -> list[str | None]:
    return [entry["label"] for entry in listed(server, gallery)]


def judged(visitor: Visitor) -> Any:
    """The part of the page that asks whether the answer is right."""
    return visitor.page.locator(".judge")


def test_a_right_answer_is_confirmed(visitor: Visitor, server: harness.Server, gallery: str) -> None:
    server.add(gallery, "cup", harness.jpeg(1))
    visitor.refused = {401}
    visitor.open(gallery, "recognise")
    visitor.choose(harness.jpeg(1))
    visitor.verdict("known")
    visitor.button("Yes").click()
    visitor.button("Close").click()  # no key is given, and it is told where it was asked
    expect(judged(visitor).get_by_role("alert")).to_contain_text("needs an API key of scope `index`")
    assert listed(server, gallery) == []

    visitor.button("Yes").click()
    visitor.give_key(harness.ADMIN)
    expect(judged(visitor)).to_contain_text(
        "Noted: cup. The gallery has this very photo, so it does not count. "
        f"0 of {FEWEST_KNOWN} known questions so far."
    )
    [entry] = listed(server, gallery)
    assert (entry["label"], entry["known"], entry["box"]) == ("cup", True, None)
    assert entry["sha256"] == hashlib.sha256(harness.jpeg(1)).hexdigest()
    assert server.get("/index", params={"gallery": gallery}).json()["total"] == 1, "nothing is enrolled"


def test_a_wrong_answer_is_put_right(keeper: Visitor, server: harness.Server, gallery: str) -> None:
    """By a label that the gallery has, by none, and by the name of a stranger; the last word counts."""
    server.add(gallery, "first thing", harness.jpeg(1))
    server.add(gallery, "second thing", harness.jpeg(2))
    keeper.open(gallery, "recognise")
    keeper.choose(harness.jpeg(1))
    keeper.verdict("known")
    keeper.button("No").click()
    field = keeper.page.get_by_label("Another label")
    field.fill("sec")
    expect(keeper.page.locator(".judge datalist option")).to_have_attribute("value", "second thing")
    keeper.button("second thing").click()
    expect(judged(keeper)).to_contain_text("Noted: second thing. The gallery has this very photo")
    assert labels(server, gallery) == ["second thing"]

    keeper.button("Say otherwise").click()
    keeper.button("No").click()
    keeper.button("Nothing that this gallery has").click()
    expect(judged(keeper)).to_contain_text(
        "Noted, in place of your last word: nothing that this gallery has. The gallery"
    )
    assert labels(server, gallery) == [None]

    keeper.button("Say otherwise").click()
    keeper.button("No").click()
    field.fill("third thing")
    keeper.button("Note it").click()
    expect(judged(keeper)).to_contain_text("third thing, which this gallery does not have. The gallery")
    keeper.button("Say otherwise").click()
    keeper.button("No").click()
    field.fill("third thing")
    keeper.button("Note it").click()
    expect(judged(keeper)).to_contain_text("Noted before: third thing")
    assert labels(server, gallery) == ["third thing"]


def test_a_stranger_is_said_to_be_one(keeper: Visitor, server: harness.Server, gallery: str) -> None:
    server.add(gallery, "cup", harness.jpeg(1))
    keeper.open(gallery, "recognise")
    keeper.choose(harness.jpeg(2))
    keeper.verdict("unknown")
    expect(keeper.button("No")).to_be_visible()
    assert keeper.button("Yes").count() == 0, "there is no label to say yes to"
    keeper.button("Yes, unknown").click()
    expect(judged(keeper)).to_contain_text("Noted: nothing that this gallery has. 0 of")
    assert labels(server, gallery) == [None]


def test_from_enough_of_them_on_the_gallery_is_calibrated(
    keeper: Visitor, server: harness.Server, gallery: str
) -> None:
    server.add(gallery, "cup", harness.jpeg(1))
    for seed in range(100, 99 + FEWEST_KNOWN):
        say(server, gallery, harness.jpeg(seed), label="cup")
    keeper.open(gallery, "recognise")
    keeper.choose(harness.jpeg(99))
    expect(keeper.page.locator(".verdict")).to_be_visible()
    keeper.button("No").click()
    keeper.page.get_by_label("Another label").fill("cup")
    keeper.button("Note it").click()
    expect(judged(keeper)).to_contain_text(f"{FEWEST_KNOWN} known questions: the gallery is calibrated on them.")
    keeper.open(gallery, "state")
    rows = keeper.page.get_by_label("Feedback", exact=True).locator(".said li")
    expect(rows).to_have_count(FEWEST_KNOWN)


def cluttered(seed: int) -> bytes:
    """400 x 300 pixels of stripes, with a thing in the upper right part."""
    stripes = np.random.RandomState(77).randint(0, 256, (1, 25, 3), np.uint8)
    image = Image.fromarray(stripes).resize((400, 300), Image.Resampling.NEAREST)
    with Image.open(io.BytesIO(harness.jpeg(seed))) as thing:
        image.paste(thing.resize((240, 180), Image.Resampling.NEAREST), (160, 0))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_a_part_is_judged_as_a_part(keeper: Visitor, server: harness.Server, gallery: str) -> None:
    """The rectangle that was drawn; and the part that was found inside."""
    for seed in range(8):
        server.add(
            gallery, f"thing {seed}", *(harness.jpeg(seed, (160 + 32 * shot, 120 + 24 * shot)) for shot in range(3))
        )
    server.post(f"/galleries/{gallery}/calibrate")
    keeper.open(gallery, "recognise")
    keeper.choose(cluttered(2))
    keeper.verdict("unknown")
    keeper.draw(0.4, 0, 1, 0.6)
    keeper.verdict("known")
    keeper.button("Yes").click()
    expect(judged(keeper)).to_contain_text("Noted: thing 2")
    [drawn] = listed(server, gallery)
    assert [float(side) for side in drawn["box"].split(",")] == pytest.approx([0.4, 0, 1, 0.6], abs=0.01)

    keeper.button("Ask about the whole photo").click()
    keeper.page.get_by_label("Look inside the photo").check()
    expect(keeper.page.locator(".box.found")).to_be_visible()
    keeper.verdict("known")
    keeper.button("Yes").click()
    expect(judged(keeper)).to_contain_text("Noted: thing 2")
    assert [entry["box"] for entry in listed(server, gallery)] == ["160,0,400,180", drawn["box"]]


def test_what_was_said_is_listed_and_taken_back(keeper: Visitor, server: harness.Server, gallery: str) -> None:
    server.add(gallery, "cup", harness.jpeg(1))
    say(server, gallery, harness.jpeg(2), label="cup")
    say(server, gallery, harness.jpeg(3), label="pot")
    say(server, gallery, harness.jpeg(4), unknown="true")
    keeper.open(gallery, "state")
    section = keeper.page.get_by_label("Feedback", exact=True)
    expect(section.locator(".figures")).to_have_text(f"known1unknown2needed{FEWEST_KNOWN}")
    rows = section.locator(".said li")
    for row, (seed, label, held) in enumerate(
        [(4, "nothing with a name", "not in"), (3, "pot", "not in"), (2, "cup", "in")]
    ):
        sha256 = hashlib.sha256(harness.jpeg(seed)).hexdigest()[:12]
        expect(rows.nth(row)).to_have_text(re.compile(rf"^{label}\s*{held} the gallery · photo {sha256}… · \d"))

    rows.nth(1).get_by_role("button", name="Take back").click()
    expect(keeper.dialog()).to_contain_text("shows pot?")
    keeper.button("Cancel").click()
    assert labels(server, gallery) == [None, "pot", "cup"], "it asks first"
    rows.nth(1).get_by_role("button", name="Take back").click()
    keeper.dialog().get_by_role("button", name="Take back").click()
    expect(rows).to_have_count(2)
    expect(section.locator(".figures")).to_have_text(f"known1unknown1needed{FEWEST_KNOWN}")
    assert labels(server, gallery) == [None, "cup"]


def test_a_label_stays_text(keeper: Visitor, server: harness.Server, gallery: str) -> None:
    server.add(gallery, MARKUP, harness.jpeg(1))
    page = keeper.page
    keeper.open(gallery, "recognise")
    keeper.choose(harness.jpeg(1))
    keeper.verdict("known")
    keeper.button("Yes").click()
    expect(judged(keeper)).to_contain_text(f"Noted: {MARKUP}. The gallery has")
    keeper.choose(harness.jpeg(2), button="Other photos")
    keeper.verdict("unknown")
    keeper.button("No").click()
    expect(judged(keeper).locator(".others button")).to_have_text(MARKUP)
    keeper.open(gallery, "state")
    section = page.get_by_label("Feedback", exact=True)
    expect(section.locator(".said .label")).to_have_text(MARKUP)
    section.get_by_role("button", name="Take back").click()
    expect(keeper.dialog()).to_contain_text(f"shows {MARKUP}?")
    assert page.locator("img[src=x]").count() == 0
    assert "ran" not in page.title()
