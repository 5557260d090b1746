"""The console in a real browser, against a real server: what a person does there, step by step."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import harness
import pytest
from visiting import MARKUP, Visitor, browsing, expect, marks, visiting

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


def test_a_stranger_is_unknown_until_it_is_added(visitor: Visitor, server: harness.Server, gallery: str) -> None:
    server.add(gallery, "first thing", harness.jpeg(1))
    visitor.refused = {401}
    visitor.page.goto(server.url)
    assert visitor.page.url == f"{server.url}/console/"
    visitor.open(gallery, "recognise")
    visitor.choose(harness.jpeg(1))
    known = visitor.verdict("known")
    expect(known.get_by_role("heading")).to_have_text("first thing")
    expect(visitor.page.locator(".candidates .thumb img")).to_be_visible()

    visitor.choose(harness.jpeg(2), button="Other photos")
    visitor.verdict("unknown")
    field = visitor.page.get_by_label("Add this photo to the gallery as")
    field.fill("first")
    expect(visitor.page.locator("datalist option")).to_have_attribute("value", "first thing")
    field.fill("second thing")
    visitor.button("Add").click()
    visitor.give_key(harness.ADMIN)  # without a key one may look, and change nothing
    visitor.button("Ask again").click()
    expect(visitor.verdict("known").get_by_role("heading")).to_have_text("second thing")
    labels = server.get("/labels", params={"gallery": gallery}).json()["labels"]
    assert {entry["label"]: entry["items"] for entry in labels} == {"first thing": 1, "second thing": 1}


def test_a_stranger_may_become_a_distractor(keeper: Visitor, server: harness.Server, gallery: str) -> None:
    server.add(gallery, "thing", harness.jpeg(1))
    keeper.open(gallery, "recognise")
    keeper.choose(harness.jpeg(2))
    keeper.button("Add as a distractor").click()
    expect(keeper.page.locator(".added")).to_contain_text("distractors")
    assert server.get("/index", params={"gallery": gallery, "kind": "distractor"}).json()["total"] == 1


BOXES = """
window.boxes = [];
const really = window.fetch;
window.fetch = (url, options) => {
  if (url.pathname == "/recognize") boxes.push(options.body.get("box"));
  return really(url, options);
};
"""
"""Notes what each question sends as `box`: a browser shows its own forms to nobody else."""


def sides(box: str) -> list[float]:
    return [float(side) for side in box.split(",")]


def test_a_rectangle_asks_about_a_part(visitor: Visitor, server: harness.Server, gallery: str) -> None:
    visitor.page.add_init_script(BOXES)
    server.add(gallery, "thing", harness.jpeg(1))
    visitor.open(gallery, "recognise")
    visitor.choose(harness.jpeg(1, (320, 240)))
    visitor.verdict("known")
    visitor.draw(0.25, 0.25, 0.75, 0.5)

    for key in ("ArrowLeft", "Shift+ArrowDown", "Enter"):
        visitor.page.locator(".canvas").press(key)
    visitor.button("Ask about the whole photo").click()
    expect(visitor.page.locator(".box.asked")).to_have_count(0)
    harness.until("four questions", lambda: len(visitor.page.evaluate("boxes")) == 4)
    whole, drawn, moved, again = visitor.page.evaluate("boxes")
    assert whole is again is None
    assert sides(drawn) == pytest.approx([0.25, 0.25, 0.75, 0.5], abs=0.01)
    assert sides(moved) == pytest.approx([0.23, 0.25, 0.73, 0.52], abs=0.01)


def test_several_photos_have_a_row_each(visitor: Visitor, server: harness.Server, gallery: str) -> None:
    """More than the server takes at a time (4); one of them is no photo."""
    server.add(gallery, "thing", harness.jpeg(1))
    visitor.refused = {413}
    visitor.open(gallery, "recognise")
    visitor.choose(harness.jpeg(1), *(harness.jpeg(seed) for seed in range(2, 10)), b"no photo")
    page = visitor.page
    expect(page.get_by_label("Answers")).to_contain_text("10 of 10 answered: 1 known, 8 unknown, 1 not answered")
    expect(page.locator(".row").first).to_contain_text("thing")
    expect(page.locator(".row").last.locator(".failed")).not_to_be_empty()
    visitor.button("Look at photo 1.jpg closer").click()
    expect(visitor.verdict("known").get_by_role("heading")).to_have_text("thing")
    visitor.button("← All 10 photos").click()
    expect(page.locator(".row")).to_have_count(10)


def test_a_label_is_text_wherever_it_stands(keeper: Visitor, server: harness.Server, gallery: str) -> None:
    [item] = server.add(gallery, MARKUP, harness.jpeg(1), external_id=MARKUP, metadata='{"<b>a</b>": "<script>"}')
    server.post(f"/galleries/{gallery}/pins", data={"label": MARKUP}, files={"image": ("p.jpg", harness.jpeg(1))})
    page = keeper.page
    keeper.open(gallery, "recognise")
    keeper.choose(harness.jpeg(1))
    expect(keeper.verdict("known").get_by_role("heading")).to_have_text(MARKUP)
    expect(page.locator(".candidates .who a")).to_have_text(MARKUP)
    page.locator(".candidates .who a").click()
    expect(page.locator(".content > .head h2")).to_have_text(MARKUP)
    expect(page.locator(".labels .list")).to_contain_text(MARKUP)
    page.locator(".content .photos .photo").click()
    expect(keeper.dialog()).to_contain_text(item["id"])
    expect(keeper.dialog()).to_contain_text("metadata: <b>a</b>")
    keeper.button("Close").click()
    keeper.button("Delete label").click()
    expect(keeper.dialog()).to_contain_text(f"Delete {MARKUP} with its only photo?")
    keeper.button("Cancel").click()
    keeper.open(gallery, "state")
    expect(page.get_by_label("Pins", exact=True)).to_contain_text(MARKUP)
    assert page.locator("img[src=x]").count() == 0
    assert "ran" not in page.title()


def test_labels_and_photos_are_tended(keeper: Visitor, server: harness.Server, gallery: str) -> None:
    server.add(gallery, "one/thing", harness.jpeg(1), harness.jpeg(2))
    server.add(gallery, "other", harness.jpeg(3))
    keeper.refused = {422}  # of what is no photo
    page = keeper.page

    def labels() -> dict[str, int]:
        answered = server.get("/labels", params={"gallery": gallery}).json()["labels"]
        return {entry["label"]: entry["items"] for entry in answered}

    keeper.open(gallery, "gallery")
    page.locator(".labels .list a", has_text="one/thing").click()
    expect(page.locator(".content .photos .thumb img")).to_have_count(2)
    page.locator(".content .photos .photo").first.click()
    keeper.button("Delete").click()
    assert labels()["one/thing"] == 2, "it asks first"
    keeper.dialog().get_by_role("button", name="Delete").click()
    expect(page.locator(".content .photos .thumb img")).to_have_count(1)
    assert labels() == {"one/thing": 1, "other": 1}

    keeper.button("Rename").click()
    page.get_by_label("New name").fill("other")
    expect(keeper.dialog()).to_contain_text("the two become one label")
    keeper.button("Merge").click()
    expect(page.locator(".content > .head h2")).to_have_text("other")
    expect(page.locator(".content .photos .thumb img")).to_have_count(2)
    assert labels() == {"other": 2}

    page.locator(".content").get_by_role("button", name="Add photos").click()
    keeper.choose(harness.jpeg(4), b"no photo", harness.jpeg(3))
    keeper.button("Add 3 photos").click()
    expect(keeper.dialog()).to_contain_text("3 of 3 photos: 1 added, 1 there before, 1 failed")
    expect(keeper.dialog().locator(".failures")).to_contain_text("photo 2.jpg")
    keeper.dialog().get_by_role("button", name="Close").last.click()
    expect(page.locator(".content .photos .thumb img")).to_have_count(3)

    keeper.button("Delete label").click()
    keeper.button("Cancel").click()
    assert labels() == {"other": 3}, "it asks first"
    keeper.button("Delete label").click()
    keeper.button("Delete 3 photos").click()
    expect(page.locator(".content")).to_contain_text("No photos yet")
    assert labels() == {}


def test_thousands_of_labels_do_not_choke_it(keeper: Visitor, gallery: str) -> None:
    body = {"labels": [{"label": f"label {number:05}", "items": 1} for number in range(10_000)]}
    keeper.page.route("**/labels?*", lambda route: route.fulfill(json=body))
    keeper.open(gallery, "gallery")
    page = keeper.page
    expect(page.locator(".labels .list a").nth(100)).to_be_attached()
    assert page.locator(".labels .list a").count() < 500
    page.get_by_label("Filter labels").fill("09999")
    expect(page.locator(".labels .list a")).to_have_count(1)


def test_an_import_runs_to_its_end(keeper: Visitor, server: harness.Server, gallery: str) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        for seed in range(6):
            made.writestr(f"label {seed % 2}/{seed}.jpg", harness.jpeg(seed))
        made.writestr("label 0/broken.jpg", b"no photo")
    keeper.open(gallery, "imports")
    file = {"name": "photos.zip", "mimeType": "application/zip", "buffer": archive.getvalue()}
    keeper.page.locator("input[type=file]").set_input_files(file)
    keeper.button("Import").click()
    job = keeper.page.locator(".job")
    expect(job.locator(".how")).to_contain_text("done")
    expect(job).to_contain_text("7 of 7 photos: 6 added, 1 failed")
    job.locator("summary").click()
    expect(job.locator(".failures")).to_contain_text("broken.jpg")
    assert server.get("/index", params={"gallery": gallery}).json()["total"] == 6


def test_an_administrator_sees_and_governs(keeper: Visitor, server: harness.Server, gallery: str) -> None:
    for seed in range(4):
        server.add(gallery, f"thing {seed % 2}", harness.jpeg(seed))
    server.post(f"/galleries/{gallery}/pins", data={"unknown": "true"}, files={"image": ("p.jpg", harness.jpeg(9))})
    keeper.open(gallery, "state")
    page = keeper.page
    expect(page.get_by_label("Server", exact=True)).to_contain_text("requests are taken")
    expect(page.get_by_label("Gallery", exact=True).locator(".figures")).to_contain_text("photos4")
    page.get_by_label("New false-accept budget, in %").fill("2")
    keeper.button("Calibrate now").click()
    expect(page.get_by_label("Calibration")).to_contain_text("for a budget of 2 %")
    page.get_by_label("Questions about unknown things, in %").fill("20")
    keeper.button("Calibrate now").click()
    expect(page.get_by_label("Calibration")).to_contain_text("if 20 % of the questions are about unknown things")
    figures = page.get_by_label("Gallery", exact=True).locator(".figures")
    expect(figures).to_contain_text("strangers among questions20 %")
    for number in (1, 2):
        keeper.button("Publish a new generation").click()
        expect(page.get_by_label("Generations")).to_contain_text(f"Generation {number} is served")
        expect(page.get_by_label("Generations").locator(".tag.current")).to_have_text(f"{number} in use")
    keeper.button("Roll back").click()
    assert server.get("/galleries").json()["galleries"] != []
    keeper.button("Serve generation 1").click()
    expect(page.get_by_label("Gallery", exact=True)).to_contain_text("Rolled back: generation 1")
    page.get_by_label("Pins", exact=True).get_by_role("button", name="Delete").click()
    keeper.dialog().get_by_role("button", name="Delete").click()
    expect(page.get_by_label("Pins", exact=True)).to_contain_text("None.")
    audit = page.get_by_label("Audit log")
    audit.get_by_role("button", name="Look again").click()
    expect(audit).to_contain_text("rolled back")
    expect(audit).to_contain_text("pin removed")


def test_what_a_key_may_not_do_is_said_in_its_place(visitor: Visitor, server: harness.Server, gallery: str) -> None:
    """On loopback without a key: all can be read but the audit log."""
    server.add(gallery, "thing", harness.jpeg(1))
    visitor.refused = {401}
    visitor.open(gallery, "state")
    expect(visitor.page.get_by_label("Audit log").get_by_role("alert")).to_contain_text(
        "needs an API key of scope `admin`"
    )
    expect(visitor.page.get_by_label("Gallery", exact=True).locator(".figures")).to_contain_text("photos1")
    assert visitor.page.get_by_role("dialog").count() == 0


def test_a_key_is_asked_for_kept_and_forgotten(browser: Any, tmp_path: Path, bundle: Path) -> None:
    with harness.serving(tmp_path / "data", bundle, host="0.0.0.0") as server:
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        server.client.base_url = url
        server.add("default", "thing", harness.jpeg(1))
        with visiting(browser, url) as visitor:
            visitor.refused = {401}
            page = visitor.page
            visitor.open("default", "recognise")
            visitor.choose(harness.jpeg(1))
            expect(visitor.dialog()).to_contain_text("needs an API key of scope `recognize`")
            visitor.give_key("a wrong key")
            refusal = server.client.get("/labels", headers={"X-API-Key": "a wrong key"}).json()["detail"]
            expect(visitor.dialog()).to_contain_text(refusal)
            visitor.give_key(harness.ADMIN)
            visitor.verdict("known")
            stored = "[sessionStorage.length, localStorage.length, document.cookie]"
            assert page.evaluate(stored) == [1, 0, ""]
            page.reload()
            visitor.open("default", "gallery")
            expect(page.locator(".labels .list")).to_contain_text("thing")

            visitor.button("Key ✓").click()
            visitor.dialog().get_by_label("Remember on this computer").check()
            visitor.give_key(harness.ADMIN)
            assert page.evaluate(stored) == [0, 1, ""]
            visitor.button("Key ✓").click()
            visitor.button("Forget the key").click()
            expect(visitor.dialog()).to_contain_text("needs an API key")  # the gallery is read anew
            assert page.evaluate(stored) == [0, 0, ""]


def test_it_works_under_a_prefix(visitor: Visitor, server: harness.Server, gallery: str) -> None:
    """A proxy that gives the server a folder of its host."""
    server.add(gallery, "thing", harness.jpeg(1))
    page = visitor.page
    page.route("**/*", lambda route: route.abort())
    page.route(
        f"{server.url}/which/**",
        lambda route: route.fulfill(response=route.fetch(url=route.request.url.replace("/which/", "/", 1))),
    )
    page.goto(f"{server.url}/which/console/#/{gallery}/recognise")
    visitor.choose(harness.jpeg(1))
    expect(visitor.verdict("known").get_by_role("heading")).to_have_text("thing")
    expect(page.locator(".candidates .thumb img")).to_be_visible()


DELIVERED = """
([kind, bytes]) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([new Uint8Array(bytes)], "photo.jpg", { type: "image/jpeg" }));
  const paste = kind == "paste";
  const event = paste ? new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true })
    : new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true });
  document.body.dispatchEvent(event);
}
"""
"""A file that comes as the browser's event of this kind."""


def test_photos_are_dropped_and_pasted(visitor: Visitor, server: harness.Server, gallery: str) -> None:
    for seed in (1, 2):
        server.add(gallery, f"thing {seed}", harness.jpeg(seed))
    visitor.open(gallery, "recognise")
    page = visitor.page
    for kind, seed in (("drop", 1), ("paste", 2)):
        page.evaluate(DELIVERED, [kind, list(harness.jpeg(seed))])
        expect(visitor.verdict("known").get_by_role("heading")).to_have_text(f"thing {seed}")


def test_who_has_to_wait_is_told_for_how_long(browser: Any, tmp_path: Path, bundle: Path) -> None:
    with (
        harness.serving(tmp_path / "data", bundle, rate_limit="12/min") as server,
        visiting(browser, server.url) as visitor,
    ):
        server.add("default", "thing", harness.jpeg(1))
        visitor.refused = {429}
        visitor.open("default", "recognise")
        expect(visitor.button("Choose photos")).to_be_visible()
        stranger = {"X-API-Key": ""}  # counted by its address, as the page is
        harness.until("no more", lambda: server.get("/labels", headers=stranger).status_code == 429)
        visitor.choose(harness.jpeg(1))
        alert = visitor.page.get_by_role("alert")
        expect(alert).to_contain_text("may make 12/min requests")
        expect(alert).to_contain_text("The server asks to wait for")
        expect(visitor.button("Again")).to_be_disabled()
        visitor.button("Again").click()  # once it can be
        expect(visitor.verdict("known").get_by_role("heading")).to_have_text("thing")
