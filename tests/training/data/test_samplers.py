from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from pydantic import TypeAdapter  # noqa: E402

from training.data.samplers import InOrder, SamplerSpec, part_of  # noqa: E402
from training.data.samplers.balanced import BalancedSampler  # noqa: E402
from training.data.samplers.class_aware import ClassAware, ClassAwareSampler  # noqa: E402
from training.data.samplers.companions import CompanionsSampler  # noqa: E402
from training.data.samplers.per_label import PerLabelSampler  # noqa: E402
from training.data.samplers.shuffled import ShuffledSampler  # noqa: E402
from training.errors import PhotosUnusable  # noqa: E402

from .photos import listed  # noqa: E402

pytestmark = pytest.mark.torch

KINDS = ("shuffled", "balanced", "class_aware", "companions", "per_label")
COUNTS = st.lists(st.integers(2, 12), min_size=4, max_size=12).map(
    lambda counts: {f"label{place}": count for place, count in enumerate(counts)}
)


@settings(max_examples=50, deadline=None)
@given(kind=st.sampled_from(KINDS), counts=COUNTS, seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_an_epoch_is_a_pure_function_of_seed_and_number(
    kind: str, counts: dict[str, int], seed: int, epoch: int
) -> None:
    spec = TypeAdapter(SamplerSpec).validate_python({"kind": kind})
    photos = listed(counts)
    plan, same = spec.plan(photos, batch=8, seed=seed), spec.plan(photos, batch=8, seed=seed)
    plan.epoch(epoch + 1)  # what was asked before does not matter
    one, other = plan.epoch(epoch), same.epoch(epoch)
    assert [batch.tolist() for batch in one] == [batch.tolist() for batch in other]
    assert all(len(batch) == 8 for batch in one)
    assert all(0 <= place < len(photos) for batch in one for place in batch)


@pytest.mark.parametrize("kind", KINDS)
def test_epochs_and_seeds_differ(kind: str) -> None:
    spec = TypeAdapter(SamplerSpec).validate_python({"kind": kind})
    photos = listed({f"label{place}": 6 for place in range(8)})

    def order(seed: int, epoch: int) -> list[int]:
        return np.concatenate(spec.plan(photos, batch=8, seed=seed).epoch(epoch)).tolist()

    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


def test_shuffled_has_each_photo_once_and_drops_the_rest() -> None:
    batches = ShuffledSampler().plan(listed({"a": 7, "b": 6}), batch=4, seed=0).epoch(0)
    assert len(batches) == 3
    assert len(set(np.concatenate(batches).tolist())) == 12
    few = ShuffledSampler().plan(listed({"a": 3}), batch=4, seed=0).epoch(0)
    assert [sorted(batch.tolist()) for batch in few] == [[0, 1, 2]]


def test_in_order_has_each_photo_once_with_a_smaller_batch_at_the_end() -> None:
    assert [batch.tolist() for batch in InOrder(5, 2).epoch(7)] == [[0, 1], [2, 3], [4]]
    assert [batch.tolist() for batch in InOrder(4, 2).epoch(0)] == [[0, 1], [2, 3]]


def test_balanced_takes_the_same_few_of_each_label_in_every_epoch() -> None:
    photos = listed({"many": 100, "some": 30, "few": 3})
    plan = BalancedSampler(at_most=30).plan(photos, batch=9, seed=1)
    first, second = (np.concatenate(plan.epoch(number)).tolist() for number in (0, 1))
    assert Counter(photos[place].label for place in first) == {"many": 30, "some": 30, "few": 3}
    assert set(first) == set(second)
    assert first != second
    other = np.concatenate(BalancedSampler(at_most=30).plan(photos, batch=9, seed=2).epoch(0)).tolist()
    assert set(other) != set(first)


def test_balanced_goes_by_names_and_not_by_places() -> None:
    photos = listed({"many": 60, "few": 3})
    turned = photos[::-1]
    one = BalancedSampler(at_most=5).plan(photos, batch=2, seed=1).epoch(0)
    other = BalancedSampler(at_most=5).plan(turned, batch=2, seed=1).epoch(0)
    assert {photos[place].name for place in np.concatenate(one)} == {
        turned[place].name for place in np.concatenate(other)
    }


@pytest.mark.parametrize(("power", "expected"), [(0.0, [50, 50]), (0.5, [75, 25]), (1.0, [90, 10])])
def test_class_aware_samples_by_the_power_of_the_size(power: float, expected: list[int]) -> None:
    # 90 and 10 photos: sqrt gives 3 : 1
    photos = listed({"a": 90, "b": 10})
    batches = ClassAwareSampler(power=power).plan(photos, batch=10, seed=0).epoch(0)
    counts = Counter(photos[place].label for place in np.concatenate(batches))
    assert [counts["a"], counts["b"]] == expected


@settings(max_examples=50, deadline=None)
@given(sizes=st.lists(st.integers(1, 40), min_size=2, max_size=20), power=st.floats(0, 1), epoch=st.integers(0, 50))
def test_class_aware_is_within_one_of_every_share_and_takes_turns(sizes: list[int], power: float, epoch: int) -> None:
    places = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    plan = ClassAware(tuple(places), power, sum(sizes), seed=0)
    (batch,) = plan.epoch(epoch)
    shares = np.array(sizes) ** power
    wanted = shares / shares.sum() * sum(sizes)
    for own, share in zip(places, wanted, strict=True):
        times = np.array([(batch == place).sum() for place in own])
        assert abs(times.sum() - share) < 1 + 1e-6
        assert times.max() - times.min() <= 1


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(2, 30), min_size=3, max_size=15),
    photos_each=st.integers(2, 4),
    different=st.integers(2, 3),
    epoch=st.integers(0, 5),
)
def test_per_label_has_different_labels_with_k_photos_each(
    sizes: list[int], photos_each: int, different: int, epoch: int
) -> None:
    photos = listed({f"label{place}": size for place, size in enumerate(sizes)})
    plan = PerLabelSampler(photos=photos_each).plan(photos, batch=photos_each * different, seed=0)
    assert plan.group == photos_each
    times: Counter[int] = Counter()
    for batch in plan.epoch(epoch):
        labels = [{photos[place].label for place in row} for row in batch.reshape(different, photos_each)]
        assert all(len(own) == 1 for own in labels)
        assert len(set.union(*labels)) == different
        times.update(batch.tolist())
        for row in batch.reshape(different, photos_each):
            own = sizes[int(photos[row[0]].label.removeprefix("label"))]
            assert len(set(row.tolist())) == min(photos_each, own)  # all different, as far as there are any
    # nothing comes more often than its label's filling makes it
    assert all(count <= photos_each for count in times.values())


def test_per_label_passes_nearly_every_photo_even_of_a_long_tail() -> None:
    sizes = {f"label{place}": 2 + 200 // (place + 1) for place in range(40)}
    photos = listed(sizes)
    batches = PerLabelSampler().plan(photos, batch=32, seed=0).epoch(0)
    # a batch has four photos of a label at most, so that is all of the largest ones that can pass
    reachable = sum(min(size, 4 * len(batches)) for size in sizes.values())
    assert len(set(np.concatenate(batches).tolist())) > 0.95 * reachable


def test_per_label_says_what_is_wrong_before_the_start() -> None:
    photos = listed({"a": 4, "b": 1, "c": 5})
    with pytest.raises(PhotosUnusable, match=r"1 label\(s\) have one photo, such as 'b'.*leave_out or repeat"):
        PerLabelSampler().plan(photos, batch=8, seed=0)
    with pytest.raises(PhotosUnusable, match="make it a multiple"):
        PerLabelSampler(one_photo="repeat").plan(photos, batch=10, seed=0)
    with pytest.raises(PhotosUnusable, match="needs 3 labels; there are 2"):
        PerLabelSampler(one_photo="leave_out").plan(photos, batch=12, seed=0)
    (batch,) = PerLabelSampler(one_photo="repeat").plan(photos, batch=12, seed=0).epoch(0)
    lonely = [place for place in batch if photos[place].label == "b"]
    assert len(lonely) == 4
    left = PerLabelSampler(one_photo="leave_out").plan(photos, batch=8, seed=0).epoch(0)
    assert {photos[place].label for place in np.concatenate(left)} == {"a", "c"}


@settings(max_examples=50, deadline=None)
@given(sizes=st.lists(st.integers(1, 9), min_size=2, max_size=9), positives=st.integers(1, 4))
def test_companions_are_others_of_the_label(sizes: list[int], positives: int) -> None:
    photos = listed({f"label{place}": size for place, size in enumerate(sizes)})
    if len(photos) < 2:
        return
    group = positives + 1
    plan = CompanionsSampler(positives=positives).plan(photos, batch=group, seed=0)
    rows = np.concatenate(plan.epoch(0)).reshape(-1, group)
    assert sorted(rows[:, 0].tolist()) == list(range(len(photos)))  # each photo once as the first
    for row in rows:
        assert len({photos[place].label for place in row}) == 1
        own = sum(photo.label == photos[row[0]].label for photo in photos)
        others = row[1:].tolist()
        if own > 1:
            assert row[0] not in others
            assert len(set(others)) == min(positives, own - 1)
        else:
            assert set(others) == {row[0]}


def test_companions_want_whole_groups() -> None:
    with pytest.raises(PhotosUnusable, match="make it one of 4"):
        CompanionsSampler().plan(listed({"a": 4}), batch=6, seed=0)


def test_one_photo_is_no_training() -> None:
    for spec in (ShuffledSampler(), BalancedSampler(), ClassAwareSampler(), CompanionsSampler()):
        with pytest.raises(PhotosUnusable, match="a batch needs 2"):
            spec.plan(listed({"a": 1}), batch=4, seed=0)


def test_processes_share_a_batch_without_gaps() -> None:
    batch = np.arange(12)
    parts = [part_of(batch, process, 3, group=2) for process in range(3)]
    assert np.concatenate(parts).tolist() == batch.tolist()
    with pytest.raises(PhotosUnusable, match="multiple of 8"):
        part_of(batch, 0, 2, group=4)
    with pytest.raises(PhotosUnusable, match="multiple of 5"):
        part_of(batch, 0, 5)
