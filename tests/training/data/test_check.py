from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from PIL import Image, ImageEnhance  # noqa: E402

from embedding.box import Box  # noqa: E402
from training.commands.data import check  # noqa: E402
from training.data.check import check_data  # noqa: E402
from training.data.duplicates import close_pairs, difference_hash, fingerprint, similar  # noqa: E402
from training.data.histogram import histogram_png, sizes_of  # noqa: E402
from training.data.listing import TrainingPhoto  # noqa: E402

from .photos import picture, saved  # noqa: E402

pytestmark = pytest.mark.torch


def through_jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=50)
    return Image.open(file).convert("RGB")


def cut(image: Image.Image) -> Image.Image:
    wide, high = image.size
    return image.crop((wide // 100, high // 100, wide - wide // 100, high - high // 100))


@pytest.mark.parametrize(
    "change",
    [
        through_jpeg,
        cut,
        lambda image: image.resize((image.width // 2, image.height // 2)),
        lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    ],
    ids=["jpeg", "cut", "half", "brighter"],
)
def test_light_copies_are_found_and_others_are_not(change: Callable[[Image.Image], Image.Image]) -> None:
    pictures = [picture(seed, (400, 300)) for seed in range(30)]
    prints = [fingerprint(str(place).encode(), one) for place, one in enumerate(pictures)]
    assert similar(prints) == []
    copies = [fingerprint(f"copy {place}".encode(), change(one)) for place, one in enumerate(pictures)]
    assert similar(prints + copies) == [[place, 30 + place] for place in range(30)]


def test_the_hash_by_hand() -> None:
    # One bright column: brighter than its left neighbour there, and nowhere else. Bits stand row by row, 8 a row.
    levels = np.zeros((8, 9), np.uint8)
    levels[:, 3] = 200
    assert difference_hash(Image.fromarray(levels).convert("F")) == int("00100000" * 8, 2)
    assert difference_hash(Image.new("L", (50, 40), 90).convert("F")) == 0


def test_pictures_without_detail_are_like_nothing() -> None:
    even = [fingerprint(bytes([level]), Image.new("RGB", (40, 40), (level,) * 3)) for level in (0, 90, 255)]
    assert similar(even) == []


@settings(max_examples=60, deadline=None)
@given(
    hashes=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=12),
    flips=st.lists(st.sets(st.integers(0, 63), max_size=8), min_size=1, max_size=12),
    distance=st.integers(0, 8),
)
def test_close_pairs_are_those_of_comparing_all_with_all(
    hashes: list[int], flips: list[set[int]], distance: int
) -> None:
    near = [one ^ sum(1 << bit for bit in bits) for one, bits in zip(hashes, flips, strict=False)]
    values = hashes + near
    found = np.concatenate(list(close_pairs(np.array(values, np.uint64), distance)))
    expected = {
        (first, second)
        for first, second in combinations(range(len(values)), 2)
        if (values[first] ^ values[second]).bit_count() <= distance
    }
    assert {(int(first), int(second)) for first, second in found} == expected


def test_many_equal_hashes_are_compared_in_parts() -> None:
    # More than are compared at once, so that the parts must join without a gap.
    values = np.zeros(2100, np.uint64)
    pairs = {(int(a), int(b)) for some in close_pairs(values, 0) for a, b in some[:: 1 + len(some) // 5000]}
    total = sum(len(some) for some in close_pairs(values, 0))
    assert total == 2100 * 2099 // 2
    assert all(first < second for first, second in pairs)


@pytest.fixture
def bad(tmp_path: Path) -> list[TrainingPhoto]:
    """Two labels in order, and one of every fault."""
    photos = [replace(photo, part="train") for photo in saved(tmp_path, {"a": 4, "b": 4}, (400, 300))]
    copy = tmp_path / "copy.png"
    copy.write_bytes(photos[0].path.read_bytes())
    near = tmp_path / "near.jpg"
    through_jpeg(picture(2, (400, 300))).save(near, quality=90)
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    Image.new("RGB", (64, 64), "white").save(tmp_path / "blank.png")
    (tmp_path / "lone.png").write_bytes(photos[3].path.read_bytes())
    return [
        *photos,
        TrainingPhoto(copy, "copy.png", "b", "train", where="line 10"),
        TrainingPhoto(near, "near.jpg", photos[2].label, "val", where="line 11"),
        TrainingPhoto(tmp_path / "broken.jpg", "broken.jpg", "a", "train", where="line 12"),
        TrainingPhoto(tmp_path / "absent.jpg", "absent.jpg", "a", "train", where="line 13"),
        TrainingPhoto(tmp_path / "blank.png", "blank.png", "", "train", where="line 14"),
        TrainingPhoto(photos[5].path, "c.png", "c", "train", Box(0, 0, 0.5, 0.5), where="line 15"),
        TrainingPhoto(photos[5].path, "d.png", "a", "train", Box(0, 0, 500, 20), where="line 16"),
    ]


def test_a_check_finds_every_fault(bad: list[TrainingPhoto]) -> None:
    told: list[tuple[str, int, int]] = []
    report = check_data(bad, lambda *progress: told.append(progress))
    assert told == [("reading photos", 15, 15)]
    assert [one.name for one in report.unreadable] == ["broken.jpg", "absent.jpg", "d.png"]
    assert "No such file" in report.unreadable[1].why
    assert "outside the photo" in report.unreadable[2].why
    assert [(one.name, one.where) for one in report.unusable] == [("blank.png", "line 14")]
    (exact,) = report.exact
    assert exact.names == (bad[0].name, "copy.png")
    assert (exact.across_labels, exact.across_parts) == (True, False)
    (near,) = report.near
    assert near.names == (bad[2].name, "near.jpg")
    assert (near.across_labels, near.across_parts) == (False, True)
    assert report.one_photo == ("c",)
    assert report.counts == {"": {"train": 1}, "a": {"train": 7, "val": 1}, "b": {"train": 5}, "c": {"train": 1}}
    assert report.spoils


def test_photos_in_order_are_fit(tmp_path: Path) -> None:
    report = check_data(saved(tmp_path, {"a": 3, "b": 2}, (200, 150)))
    assert not report.spoils
    assert (report.unreadable, report.exact, report.near, report.one_photo) == ((), (), (), ())


def test_two_things_that_look_alike_are_no_fault_but_one_in_two_parts_is(tmp_path: Path) -> None:
    photos = saved(tmp_path, {"a": 2}, (400, 300))
    picture(0, (400, 300)).resize((200, 150)).save(tmp_path / "half.png")
    for label, part, spoils in (("b", "train", False), ("b", "val", False), ("a", "val", True), ("a", "train", False)):
        twin = TrainingPhoto(tmp_path / "half.png", "half.png", label, part)  # type: ignore[arg-type]
        report = check_data([*(replace(photo, part="train") for photo in photos), twin])
        assert len(report.near) == 1
        assert report.spoils == spoils


def listed_in_csv(folder: Path, photos: list[TrainingPhoto]) -> Path:
    path = folder / "photos.csv"
    lines = [f'{photo.path},{photo.label},{photo.part},"{photo.box or ""}"' for photo in photos]
    path.write_text("\n".join(["path,label,split,box", *lines, ""]), encoding="utf-8")
    return path


def test_the_verb_prints_a_report_and_writes_a_plot(
    bad: list[TrainingPhoto], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = listed_in_csv(tmp_path, bad)
    assert not check(str(source), plot=tmp_path / "new" / "sizes.png")
    shown = capsys.readouterr()
    for text in (
        "15 photos, 3 labels, 1 without a label",
        "by split: train 14, val 1",
        "3 photos cannot be read",
        "photos.csv, line 12",
        "1 photos show nothing",
        "across labels: ",
        "across splits: ",
        "1 labels have one photo to train on",
        "Mend the list before training.",
    ):
        assert text in shown.out
    assert shown.err == ""
    with Image.open(tmp_path / "new" / "sizes.png") as plot:
        assert plot.format == "PNG"


def test_the_verb_prints_json(bad: list[TrainingPhoto], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not check(str(listed_in_csv(tmp_path, bad)), as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["photos"] == 15
    assert document["spoils"] is True
    assert document["exact"][0]["across_labels"] is True
    assert document["one_photo"] == ["c"]
    good = saved(tmp_path / "good", {"a": 3, "b": 2})
    assert check(str(listed_in_csv(tmp_path, good)), as_json=True)


def test_sizes_count_every_label_once() -> None:
    counts = [1, 1, 2, 4, 5, 6, 300]
    sizes = sizes_of(counts)
    assert [(one.name, one.labels, one.photos) for one in sizes if one.labels] == [
        ("1", 2, 2),
        ("2", 1, 2),
        ("4 to 5", 2, 9),
        ("6 to 10", 1, 6),
        ("201 to 500", 1, 300),
    ]
    assert (sizes[0].name, sizes[-1].name) == ("1", "201 to 500")
    assert sizes_of([5000])[0].name == "1001 and more"
    assert sizes_of([]) == []


def test_the_plot_shows_the_tail() -> None:
    image = np.asarray(Image.open(io.BytesIO(histogram_png([100, 50, 10, 5, 1] + [1] * 40))).convert("L"))
    dark = (image < 160).sum(axis=0)
    middle = len(dark) // 2
    assert dark[: middle // 2].max() > dark[middle : middle + middle // 2].max()
    assert histogram_png([])[:4] == b"\x89PNG"
