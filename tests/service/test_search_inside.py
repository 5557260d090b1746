"""Looking inside a photo: the same as asking about its parts as boxes, over HTTP, in Python and with a receipt."""

from __future__ import annotations

import io
from pathlib import Path

import harness
import numpy as np
import pytest
from PIL import Image

from embedding.box import Box
from index.calibration import CERTAIN
from index.receipt import check_arithmetic, differences
from index.search_inside import answering_part, counted, parts_of
from service.errors import FieldInvalid
from service.recognition.service import search_of
from service.settings import Settings
from service.workspace import Workspace, open_workspace

CORNER = (160, 0, 400, 180)  # the upper right part of 400 x 300 pixels: three fifths each way


def cluttered(seed: int, *, size: tuple[int, int] = (400, 300), format: str = "PNG", angle: int = 0) -> bytes:  # noqa: A002
    """A photo of stripes, with the thing of `harness.jpeg(seed)` in its upper right part."""
    stripes = np.random.RandomState(77).randint(0, 256, (1, 25, 3), np.uint8)
    image = Image.fromarray(stripes).resize(size, Image.Resampling.NEAREST)
    with Image.open(io.BytesIO(harness.jpeg(seed))) as thing:
        wide, high = -(-size[0] * 3 // 5), -(-size[1] * 3 // 5)
        image.paste(thing.resize((wide, high), Image.Resampling.NEAREST), (size[0] - wide, 0))
    exif = Image.Exif()
    if angle:
        image = image.transpose(Image.Transpose.ROTATE_90)  # stored turned; orientation 6 turns it back
        exif[0x0112] = 6
    file = io.BytesIO()
    image.save(file, format, exif=exif, **({"quality": 95} if format == "JPEG" else {}))
    return file.getvalue()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, bundle: Path):
    data = tmp_path_factory.mktemp("inside") / "data"
    with open_workspace(Settings.load({}, data=data, bundle=bundle, threads=1, verification="off")) as opened:
        for thing in range(8):
            shots = [harness.jpeg(thing, (160 + 32 * shot, 120 + 24 * shot)) for shot in range(3)]
            opened.enrol(f"thing {thing}", shots)
        opened.galleries.learning.calibrate("default")
        yield opened


def test_a_thing_in_a_corner_is_found_and_where(workspace: Workspace) -> None:
    photo = cluttered(2)
    alone = workspace.recognize(photo)
    inside = workspace.recognize(photo, search="inside", explain=True)
    assert alone.answer.verdict.label is None
    assert alone.box is None
    assert inside.answer.verdict.label == "thing 2"
    assert inside.box == CORNER
    assert inside.to_json()["box"] == list(CORNER)
    part = workspace.recognize(photo, box=Box(*CORNER)).answer.verdict
    assert inside.answer.verdict.confidence == pytest.approx(1 - 6 * (1 - part.confidence))
    assert inside.answer.verdict.confidence >= part.threshold
    assert inside.timing.total >= inside.timing.embed > 0


def test_the_receipt_is_that_of_the_part(workspace: Workspace) -> None:
    photo = cluttered(2)
    receipt = workspace.recognize(photo, search="inside", explain=True).answer.receipt
    assert receipt is not None
    assert receipt.about.box == "160,0,400,180"
    assert check_arithmetic(receipt) == []
    asked = workspace.embedder.query(photo, Box.parse(receipt.about.box))
    np.testing.assert_array_equal(asked.embedding, receipt.vector)
    again = workspace.replay.replay(receipt, asked)
    assert again.same_state
    assert differences(receipt, again.receipt) == []


@pytest.mark.parametrize("photo", [harness.again(1), harness.jpeg(1), harness.grey(), cluttered(99)])
def test_the_answer_follows_from_those_about_the_boxes(workspace: Workspace, photo: bytes) -> None:
    whole = workspace.recognize(photo)
    with Image.open(io.BytesIO(photo)) as image:
        regions = parts_of((0, 0, *image.size), least_side=8)
    parts = [workspace.recognize(photo, box=Box(*region)).answer.verdict for region in regions]
    expected = answering_part(whole.answer.verdict, parts)
    inside = workspace.recognize(photo, search="inside")
    if expected is None:
        assert (inside.box, inside.answer) == (None, whole.answer)
    else:
        assert (inside.box, inside.answer.verdict) == (regions[expected[0]], expected[1])
    sure = [part for part in parts if part.verdict == "known" and counted(part.confidence, 6) >= part.threshold]
    assert (inside.answer.verdict.verdict == "known") == (whole.answer.verdict.verdict == "known" or bool(sure))


@pytest.mark.parametrize(
    ("format", "size", "angle"),
    [("PNG", (400, 300), 0), ("JPEG", (400, 300), 0), ("JPEG", (1000, 750), 90), ("PNG", (1000, 750), 0)],
)
def test_parts_lie_in_the_upright_photo_at_full_size(
    workspace: Workspace,
    format: str,  # noqa: A002
    size: tuple[int, int],
    angle: int,
) -> None:
    photo = cluttered(3, format=format, size=size, angle=angle)
    queries, regions = workspace.embedder.parts(photo)
    assert regions == parts_of((0, 0, *size), least_side=8)
    for query, region in zip(queries, regions, strict=True):
        alone = workspace.embedder.query(photo, Box(*region))
        np.testing.assert_array_equal(query.embedding, alone.embedding)
        assert query.defect == alone.defect


def test_inside_a_box(workspace: Workspace) -> None:
    photo = cluttered(3)
    _, regions = workspace.embedder.parts(photo, Box(0.25, 0, 0.75, 1))  # columns 100 to 300 of 400
    assert regions == parts_of((100, 0, 300, 300), least_side=8)
    assert workspace.embedder.parts(photo, Box(100, 0, 300, 300))[1] == regions


def test_a_photo_too_small_for_parts_is_answered_as_a_whole(workspace: Workspace) -> None:
    tiny = cluttered(3, size=(11, 11))
    assert workspace.embedder.parts(tiny) == ([], ())
    inside = workspace.recognize(tiny, search="inside")
    assert (inside.box, inside.answer) == (None, workspace.recognize(tiny).answer)


def test_a_way_to_search_that_there_is_not() -> None:
    assert (search_of(" Inside "), search_of("whole")) == ("inside", "whole")
    with pytest.raises(FieldInvalid, match="must be whole or inside; got 'outside'"):
        search_of("outside")


def test_over_http(server: harness.Server, gallery: str) -> None:
    for thing in range(3):
        server.add(gallery, f"thing {thing}", harness.jpeg(thing, (240, 180)), harness.jpeg(thing, (320, 240)))
    server.post(f"/galleries/{gallery}/calibrate")
    with Image.open(io.BytesIO(harness.jpeg(2, (240, 180)))) as thing_itself:
        canvas = Image.new("RGB", (400, 300), "grey")
        canvas.paste(thing_itself, (160, 0))
    file = io.BytesIO()
    canvas.save(file, "PNG")  # pixel for pixel what the gallery holds
    assert server.ask(gallery, file.getvalue())["box"] is None
    answer = server.ask(gallery, file.getvalue(), search="inside", explain="true")
    assert (answer["label"], answer["reason"], answer["box"]) == ("thing 2", "same_photo", list(CORNER))
    assert answer["confidence"] == pytest.approx(1 - 6 * (1 - CERTAIN), abs=1e-6)
    assert answer["receipt"]["about"]["box"] == "160,0,400,180"
    refused = server.post("/recognize", files={"image": ("p.png", file.getvalue())}, data={"search": "outside"})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_field")
    assert "whole or inside" in refused.json()["detail"]
