from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

from PIL import Image  # noqa: E402
from pydantic import TypeAdapter  # noqa: E402

from embedding.box import Box  # noqa: E402
from embedding.images import decode  # noqa: E402
from embedding.preprocess import preprocess  # noqa: E402
from training.data.augment import AugmentSpec  # noqa: E402
from training.data.classes import Classes  # noqa: E402
from training.data.dataset import PhotoSet  # noqa: E402
from training.data.listing import TrainingPhoto  # noqa: E402
from training.data.loading import Loaded, PhotoLoader  # noqa: E402
from training.data.mixing import CutMix  # noqa: E402
from training.data.reading import PhotosSpec, read_photo  # noqa: E402
from training.data.samplers import BatchPlan, InOrder  # noqa: E402
from training.data.samplers.companions import CompanionsSampler  # noqa: E402
from training.data.samplers.per_label import PerLabelSampler  # noqa: E402
from training.data.samplers.shuffled import ShuffledSampler  # noqa: E402
from training.errors import RunFailed  # noqa: E402

from .photos import CANVAS, picture, saved  # noqa: E402

pytestmark = pytest.mark.torch

STEPS = TypeAdapter(AugmentSpec).validate_python(
    [{"kind": "random_resized_crop"}, {"kind": "flip"}, {"kind": "colour_jitter"}]
)
COUNTS = {"a": 5, "b": 6, "c": 7}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[TrainingPhoto]:
    return saved(tmp_path_factory.mktemp("photos"), COUNTS)


def photo_set(photos: list[TrainingPhoto], spec: PhotosSpec | None = None, *, seed: int = 0) -> PhotoSet:
    return PhotoSet(photos, Classes.of(photos), CANVAS, STEPS, spec=spec, seed=seed)


def plan_of(photos: list[TrainingPhoto], batch: int = 4) -> BatchPlan:
    return ShuffledSampler().plan(photos, batch=batch, seed=1)


def assert_same(one: list[Loaded], other: list[Loaded]) -> None:
    assert len(one) == len(other) > 0
    for left, right in zip(one, other, strict=True):
        assert left.number == right.number
        assert torch.equal(left.places, right.places)
        assert torch.equal(left.batch.images, right.batch.images)
        assert torch.equal(left.batch.labels, right.batch.labels)
        assert (left.batch.mixed is None) == (right.batch.mixed is None)
        if left.batch.mixed is not None and right.batch.mixed is not None:
            assert torch.equal(left.batch.mixed, right.batch.mixed)


def test_to_judge_by_photos_come_as_they_are_served(photos: list[TrainingPhoto]) -> None:
    classes = Classes(("a", "b"))
    loaded = list(PhotoLoader(PhotoSet(photos, classes, CANVAS), InOrder(len(photos), 5)).epoch(0))
    assert [len(one.places) for one in loaded] == [5, 5, 5, 3]
    images = torch.cat([one.batch.images for one in loaded]).numpy()
    for image, photo in zip(images, photos, strict=True):
        np.testing.assert_array_equal(image, preprocess(decode(photo.path.read_bytes()), CANVAS))
    labels = torch.cat([one.batch.labels for one in loaded]).tolist()
    assert labels == [{"a": 0, "b": 1, "c": -1}[photo.label] for photo in photos]
    assert loaded[0].batch.weights is None


def test_workers_and_where_it_begins_change_nothing(photos: list[TrainingPhoto]) -> None:
    def loader(workers: int) -> PhotoLoader:
        mixer = CutMix().build(3)
        return PhotoLoader(photo_set(photos), plan_of(photos), mixer=mixer, seed=1, workers=workers)

    alone, helped = loader(0), loader(2)
    before = torch.get_rng_state()
    first = list(alone.epoch(0))
    assert torch.equal(torch.get_rng_state(), before)
    assert_same(first, list(helped.epoch(0)))
    second = list(alone.epoch(1))
    interrupted = helped.epoch(1)
    next(interrupted)
    interrupted.close()
    assert_same(second[2:], list(helped.epoch(1, start=2)))
    helped.close()
    assert_same(second[3:], list(helped.epoch(1, start=3)))
    helped.close()
    assert not torch.equal(first[0].batch.images, second[0].batch.images)
    assert alone.batches(0) == len(first) == 4
    assert {one.batch.mixed is None for one in [*first, *second]} == {True, False}


def test_a_photo_that_comes_twice_in_an_epoch_looks_different(photos: list[TrainingPhoto]) -> None:
    few = [photo for photo in photos if photo.label == "a"][:2] + [photo for photo in photos if photo.label == "b"][:2]
    plan = PerLabelSampler(photos=4).plan(few, batch=8, seed=0)
    (loaded,) = PhotoLoader(photo_set(few), plan).epoch(0)
    assert loaded.batch.group == 4
    for row in range(2):
        places = loaded.places[4 * row : 4 * row + 4]
        assert sorted(torch.bincount(places).tolist())[-2:] == [2, 2]
        images = loaded.batch.images[4 * row : 4 * row + 4]
        assert len({image.numpy().tobytes() for image in images}) == 4


def test_several_processes_see_what_one_sees(photos: list[TrainingPhoto]) -> None:
    plan = CompanionsSampler(positives=1).plan(photos, batch=8, seed=0)
    whole = list(PhotoLoader(photo_set(photos), plan).epoch(0))
    parts = [list(PhotoLoader(photo_set(photos), plan, process=rank, processes=2).epoch(0)) for rank in range(2)]
    for one, *shares in zip(whole, *parts, strict=True):
        assert torch.equal(one.batch.images, torch.cat([share.batch.images for share in shares]))
        assert torch.equal(one.batch.labels, torch.cat([share.batch.labels for share in shares]))


def test_the_cache_changes_nothing_and_reads_nothing_again(tmp_path: Path) -> None:
    photos = saved(tmp_path, COUNTS)
    bare = PhotosSpec(shrink_to=40)
    expected = list(PhotoLoader(photo_set(photos, bare), plan_of(photos)).epoch(0))
    wide, high = read_photo(photos[0], bare).size
    assert (wide, high) == (53, 40)  # 64 x 48, its shorter side to 40
    roomy = photo_set(photos, bare.model_copy(update={"cache_mb": 1}))
    told: list[int] = []
    roomy.cache.fill(lambda _, done, total: told.append(done * 1000 + total))
    assert told == [18018]
    roomy.cache.fill(lambda _, done, total: told.append(done * 1000 + total))
    assert told == [18018]  # once is enough
    assert len(roomy.cache) == len(photos)
    assert roomy.cache.bytes == len(photos) * 53 * 40 * 3
    helped = PhotoLoader(roomy, plan_of(photos), workers=2)
    assert_same(expected, list(helped.epoch(0)))
    helped.close()
    for photo in photos:
        photo.path.unlink()
    assert_same(expected, list(PhotoLoader(roomy, plan_of(photos)).epoch(0)))


def test_a_cache_that_is_full_keeps_the_first_ones(tmp_path: Path) -> None:
    large = saved(tmp_path, {"a": 4, "b": 4}, size=(400, 400))  # 0.46 MiB each
    some = photo_set(large, PhotosSpec(cache_mb=1))
    expected = list(PhotoLoader(photo_set(large), plan_of(large)).epoch(0))
    assert_same(expected, list(PhotoLoader(some, plan_of(large)).epoch(0)))  # the loader fills it
    assert len(some.cache) == 2
    assert some.cache.bytes == 2 * 400 * 400 * 3


def broken(photos: list[TrainingPhoto], folder: Path, *places: int) -> list[TrainingPhoto]:
    path = folder / "broken.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    return [replace(photo, path=path) if place in places else photo for place, photo in enumerate(photos)]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_photo_ends_the_run_in_one_sentence(
    photos: list[TrainingPhoto], tmp_path: Path, workers: int
) -> None:
    bad = broken(photos, tmp_path, 3)
    loader = PhotoLoader(photo_set(bad), InOrder(len(bad), 3), workers=workers)
    epoch = loader.epoch(0)
    next(epoch)
    with pytest.raises(RunFailed, match=r"broken\.png \(line 5\) cannot be read: .*unreadable to skip") as caught:
        next(epoch)
    assert "\n" not in str(caught.value)
    gone = [replace(photos[0], path=tmp_path / "gone.png"), *photos[1:]]
    with pytest.raises(RunFailed, match=r"gone\.png .*No such file"):
        next(PhotoLoader(photo_set(gone), InOrder(len(gone), 3)).epoch(0))


def test_a_skipped_photo_is_stood_in_for_by_one_of_its_label(photos: list[TrainingPhoto], tmp_path: Path) -> None:
    bad = broken(photos, tmp_path, 3)
    skipping = PhotosSpec(unreadable="skip")
    loaded = list(PhotoLoader(photo_set(bad, skipping), InOrder(len(bad), 6)).epoch(0))
    assert [len(one.unreadable) for one in loaded] == [1, 0, 0]
    assert "broken.png" in loaded[0].unreadable[0]
    wanted, came = 3, int(loaded[0].places[3])
    assert came != wanted
    assert bad[came].label == bad[wanted].label
    assert loaded[0].batch.labels.tolist() == [int("abc".index(photo.label)) for photo in bad[:6]]
    everywhere = broken(photos, tmp_path, *[place for place, photo in enumerate(photos) if photo.label == "a"])
    with pytest.raises(RunFailed, match="cannot be read"):
        list(PhotoLoader(photo_set(everywhere, skipping), InOrder(len(bad), 6)).epoch(0))


def test_boxes_with_and_without_margin(tmp_path: Path) -> None:
    ramp = np.zeros((60, 100, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(100), np.arange(60)[:, None]
    path = tmp_path / "ramp.png"
    Image.fromarray(ramp).save(path)
    photo = TrainingPhoto(path, "ramp.png", "a", box=Box(20, 10, 60, 30), where="line 2")

    def region(margin: float) -> tuple[tuple[int, ...], tuple[int, ...]]:
        levels = np.asarray(read_photo(photo, PhotosSpec(box_margin=margin)))
        return tuple(levels[0, 0, :2].tolist()), tuple(levels[-1, -1, :2].tolist())

    assert region(0) == ((20, 10), (59, 29))
    assert region(0.25) == ((10, 5), (69, 34))  # 10 pixels left and right of 40, 5 above and below 20
    assert region(2) == ((0, 0), (99, 59))  # no more than there is
    outside = replace(photo, box=Box(20, 10, 160, 30))
    for margin in (0.0, 0.25):
        with pytest.raises(RunFailed, match="outside the photo"):
            read_photo(outside, PhotosSpec(box_margin=margin))


def test_weights_come_with_the_photos(photos: list[TrainingPhoto]) -> None:
    weighed = [replace(photo, weight=1 + place) for place, photo in enumerate(photos)]
    (loaded, *_) = PhotoLoader(photo_set(weighed), plan_of(weighed)).epoch(0)
    assert loaded.batch.weights is not None
    assert loaded.batch.weights.tolist() == (loaded.places + 1).tolist()


def test_a_batch_moves_with_its_tensors(photos: list[TrainingPhoto]) -> None:
    weighed = [replace(photo, weight=2.0) for photo in photos]
    mixer = CutMix(probability=1).build(3)
    (loaded, *_) = PhotoLoader(photo_set(weighed), plan_of(weighed), mixer=mixer).epoch(0)
    moved = loaded.to("meta").batch
    assert moved.mixed is not None
    assert moved.weights is not None
    assert {one.device.type for one in (moved.images, moved.labels, moved.mixed, moved.weights)} == {"meta"}
    assert loaded.places.device.type == "cpu"


def test_large_photos_are_shrunk_as_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    picture(3, (1600, 1200)).save(path, quality=95)
    photo = TrainingPhoto(path, "large.jpg", "a")
    small = read_photo(photo, PhotosSpec(shrink_to=100))
    assert small.size == (133, 100)
    whole = read_photo(photo, PhotosSpec()).resize((133, 100), Image.Resampling.LANCZOS)
    assert np.abs(np.asarray(small, float) - np.asarray(whole, float)).mean() < 2
