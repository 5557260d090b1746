from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from pydantic import TypeAdapter  # noqa: E402

from training.data.classes import UNKNOWN, Classes  # noqa: E402
from training.data.listing import TrainingPhoto  # noqa: E402
from training.data.splits import (  # noqa: E402
    ByLabelSplit,
    ByPhotoSplit,
    ListedSplit,
    NoSplit,
    SplitSpec,
    WhaleSplit,
)
from training.errors import PhotosUnusable  # noqa: E402

from .photos import listed  # noqa: E402

pytestmark = pytest.mark.torch

COUNTS = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3), st.integers(1, 9), min_size=2, max_size=20)


def names(photos: tuple[TrainingPhoto, ...]) -> set[str]:
    return {photo.name for photo in photos}


@settings(max_examples=60, deadline=None)
@given(counts=COUNTS, strangers=st.integers(0, 5), seed=st.integers(0, 99), spec=st.sampled_from(["p", "l", "w"]))
def test_no_photo_serves_two_ends_and_none_is_lost(
    counts: dict[str, int], strangers: int, seed: int, spec: str
) -> None:
    photos = listed({**counts, "": strangers})
    split = {"p": ByPhotoSplit(seed=seed), "l": ByLabelSplit(seed=seed), "w": WhaleSplit(unknown=2, seed=seed)}[spec]
    if max(counts.values()) == 1:
        with pytest.raises(PhotosUnusable):
            split.split(photos)
        return
    found = split.split(photos)
    parts = [names(found.training), names(found.validation), names(found.strangers)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == len(photos)
    assert found.left_out == 0
    assert all(photo.label for photo in found.training)
    assert not any(photo.label for photo in found.strangers)
    assert any(photo.label for photo in found.validation)


@settings(max_examples=40, deadline=None)
@given(counts=COUNTS, share=st.floats(0.05, 0.6), seed=st.integers(0, 9))
def test_by_photo_leaves_every_label_one_to_train_on(counts: dict[str, int], share: float, seed: int) -> None:
    if max(counts.values()) == 1:
        return
    photos = listed(counts)
    found = ByPhotoSplit(share=share, seed=seed).split(photos)
    assert {photo.label for photo in found.training} == set(counts)
    spare = len(photos) - len(counts)
    assert abs(len(found.validation) - max(1, min(spare, share * len(photos)))) <= 0.5 + 1e-9


def test_by_photo_draws_alike_from_every_label() -> None:
    found = ByPhotoSplit(share=0.2).split(listed({"a": 50, "b": 10, "c": 100}))
    assert Counter(photo.label for photo in found.validation) == {"a": 10, "b": 2, "c": 20}


def test_by_label_holds_out_whole_labels_that_have_pairs() -> None:
    found = ByLabelSplit(share=0.25).split(listed({"a": 3, "b": 2, "c": 1, "d": 4}))
    held = {photo.label for photo in found.validation}
    assert len(held) == 1
    assert held.isdisjoint(photo.label for photo in found.training)
    assert "c" not in held


def test_the_whale_split_takes_one_of_each_pair_and_some_unknown() -> None:
    photos = listed({"w_1": 3, "w_2": 2, "w_3": 1, "new_whale": 6})
    found = WhaleSplit(unknown=4).split(photos)
    assert Counter(photo.label for photo in found.validation) == {"w_1": 1, "w_2": 1, "": 4}
    assert Counter(photo.label for photo in found.training) == {"w_1": 2, "w_2": 1, "w_3": 1}
    assert len(found.strangers) == 2


@pytest.mark.parametrize("spec", [ByLabelSplit(seed=3), ByPhotoSplit(seed=3), WhaleSplit(unknown=2, seed=3)])
def test_draws_stay_when_the_tree_moves_and_the_order_changes(
    spec: ByLabelSplit | ByPhotoSplit | WhaleSplit,
) -> None:
    photos = listed({"a": 5, "b": 4, "c": 6, "": 4})
    moved = [replace(photo, path=Path("/elsewhere") / photo.path) for photo in reversed(photos)]
    one, other = spec.split(photos), spec.split(moved)
    assert names(one.validation) == names(other.validation)
    assert names(one.strangers) == names(other.strangers)
    assert names(spec.split(photos).validation) != names(spec.model_copy(update={"seed": 5}).split(photos).validation)


def test_regions_of_one_photo_stay_together() -> None:
    whole = listed({"a": 8})
    regions = [replace(photo, label=label) for photo in whole for label in ("a", "b")]
    found = ByPhotoSplit(share=0.25).split(regions)
    assert names(found.training).isdisjoint(names(found.validation))
    assert {photo.label for photo in found.training} == {"a", "b"}


def test_a_list_that_says_itself() -> None:
    photos = listed({"a": 4, "b": 2})
    parts = ("train", "val", "test", "", "train", "val")
    said = [replace(photo, part=part) for photo, part in zip(photos, parts, strict=True)]  # type: ignore[arg-type]
    found = ListedSplit().split(said)
    assert names(found.training) == {said[0].name, said[3].name, said[4].name}
    assert names(found.validation) == {said[1].name, said[5].name}
    assert found.left_out == 1
    drawn = ByPhotoSplit(share=0.3).split(said)
    assert names(drawn.training) | names(drawn.validation) == names(found.training)
    assert drawn.left_out == 3
    everything = NoSplit().split(said)
    assert (len(everything.training), len(everything.validation)) == (5, 0)


def test_a_list_that_does_not_say_is_told_what_to_choose() -> None:
    with pytest.raises(PhotosUnusable, match="by_label, by_photo, whale or none"):
        ListedSplit().split(listed({"a": 2}))
    with pytest.raises(PhotosUnusable, match="No photo with a label"):
        NoSplit().split(listed({"": 3}))


def test_splits_are_told_apart_by_kind() -> None:
    spec = TypeAdapter(SplitSpec).validate_python({"kind": "by_label", "share": 0.3})
    assert spec == ByLabelSplit(share=0.3)


def test_classes_number_labels_in_order() -> None:
    photos = listed({"b": 3, "a": 2, "": 4})
    classes = Classes.of(photos)
    assert (classes.labels, len(classes)) == (("a", "b"), 2)
    assert [classes.number(label) for label in ("a", "b", "", "c")] == [0, 1, UNKNOWN, UNKNOWN]
    assert classes.counts(photos).tolist() == [2, 3]
    assert Classes(("a", "b", "c")).counts(photos).tolist() == [2, 3, 0]
