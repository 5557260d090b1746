from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the training extra")

from training.data.classes import Classes  # noqa: E402
from training.data.listing import TrainingPhoto  # noqa: E402
from training.data.posed import posed, with_poses  # noqa: E402
from training.data.reading import PhotosSpec, read_photo  # noqa: E402
from training.data.splits import Split  # noqa: E402
from training.recipe import load_recipe, parse_recipe  # noqa: E402

pytestmark = pytest.mark.torch


def test_turns_are_anticlockwise_and_four_make_none() -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    image = Image.fromarray(pixels)
    assert np.array_equal(np.asarray(posed(image, "turned_90")), np.rot90(pixels))
    assert np.array_equal(np.asarray(posed(image, "turned_180")), np.rot90(pixels, 2))
    assert np.array_equal(np.asarray(posed(image, "turned_270")), np.rot90(pixels, 3))
    assert np.array_equal(np.asarray(posed(image, "mirrored")), pixels[:, ::-1])
    assert posed(image, "as_it_is") is image


def test_each_pose_is_a_label_of_its_own_and_judges_nothing(tmp_path: Path) -> None:
    photos = tuple(TrainingPhoto(tmp_path / f"{n}.png", f"{n}.png", "ab"[n % 2]) for n in range(4))
    split = with_poses(Split(photos[:3], photos[3:]), ("turned_90", "mirrored"))
    assert split.training[:3] == photos[:3]
    assert split.validation == photos[3:]
    assert Classes.of(split.training).labels == ("a", "a mirrored", "a turned_90", "b", "b mirrored", "b turned_90")
    assert len(split.training) == 9


def test_a_posed_photo_is_read_turned(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    photo = TrainingPhoto(tmp_path / "a.png", "a.png", "a turned_90", pose="turned_90")
    assert np.array_equal(np.asarray(read_photo(photo, PhotosSpec())), np.rot90(pixels))


def test_a_recipe_says_it_and_leaves_it_out() -> None:
    document = load_recipe("omniglot").model_dump(mode="json")
    document["data"] |= {"new_labels": ["turned_180"], "split": {"kind": "none"}}
    photos = [TrainingPhoto(Path("a.png"), "a.png", "a"), TrainingPhoto(Path("b.png"), "b.png", "b")]
    assert len(parse_recipe(document, "x").data.parted(photos).training) == 4
    document["data"]["new_labels"] = []
    assert len(parse_recipe(document, "x").data.parted(photos).training) == 2
