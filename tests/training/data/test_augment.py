from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

from PIL import Image  # noqa: E402
from pydantic import TypeAdapter, ValidationError  # noqa: E402

from embedding.preprocess import PreprocessSpec, preprocess  # noqa: E402
from training.data.augment import Augmentation, AugmentSpec  # noqa: E402
from training.data.augment.resize import Resize  # noqa: E402
from training.data.chance import seed_of, seeded  # noqa: E402

from .photos import CANVAS, picture  # noqa: E402

pytestmark = pytest.mark.torch

MEAN = tuple(round(255 * value) for value in CANVAS.mean)


def augmentation(*steps: dict[str, Any], canvas: PreprocessSpec = CANVAS) -> Augmentation:
    return Augmentation(TypeAdapter(AugmentSpec).validate_python(steps), canvas)


def pixels(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """(h, w, 3) levels 0..255 of what a network gets."""
    levels = values.transpose(1, 2, 0) * np.array(CANVAS.std) + np.array(CANVAS.mean)
    return np.asarray(levels * 255)


def of_levels(array: np.ndarray[Any, Any]) -> Image.Image:
    return Image.fromarray(array.astype(np.uint8))


@pytest.mark.parametrize("size", [(64, 48), (31, 90), (36, 36), (8, 200)])
@pytest.mark.parametrize("mode", ["shorter_side_crop", "squash", "letterbox"])
def test_without_steps_it_is_what_serving_does_to_the_bit(size: tuple[int, int], mode: str) -> None:
    resize = 36 if mode == "shorter_side_crop" else 32
    canvas = CANVAS.model_copy(update={"mode": mode, "resize": resize})
    photo = picture(1, size)
    np.testing.assert_array_equal(Augmentation((), canvas)(photo), preprocess(photo, canvas))
    # and so is a step that never fires
    never = augmentation({"kind": "flip", "probability": 0}, canvas=canvas)
    np.testing.assert_array_equal(never(photo), preprocess(photo, canvas))


@pytest.mark.parametrize("size", [(64, 48), (31, 90), (36, 36), (200, 9)])
@pytest.mark.parametrize("mode", ["squash", "letterbox"])
def test_resize_is_that_of_serving(size: tuple[int, int], mode: str) -> None:
    canvas = CANVAS.model_copy(update={"mode": mode, "resize": 32})
    photo = picture(2, size)
    trained = augmentation({"kind": "resize", "to": 32, "mode": mode}, canvas=canvas)(photo)
    np.testing.assert_array_equal(trained, preprocess(photo, canvas))


def test_the_normalisation_by_hand() -> None:
    photo = of_levels(np.tile(np.array([10, 128, 250]), (32, 32, 1)))
    values = augmentation({"kind": "random_crop"})(photo)
    expected = (np.array([10, 128, 250]) / 255 - np.array(CANVAS.mean)) / np.array(CANVAS.std)
    np.testing.assert_allclose(values[:, 5, 7], expected, atol=1e-6)


def test_shorter_and_longer_side() -> None:
    assert Resize(to=20, mode="shorter_side").build(CANVAS)(picture(0, (64, 40))).size == (32, 20)
    assert Resize(to=32, mode="longer_side").build(CANVAS)(picture(0, (64, 40))).size == (32, 20)
    assert Resize(to=(54, 67), mode="squash").build(CANVAS)(picture(0, (64, 40))).size == (67, 54)
    with pytest.raises(ValidationError, match="wants one number"):
        augmentation({"kind": "resize", "to": (54, 67), "mode": "letterbox"})


def test_letterbox_fills_with_the_mean_colour() -> None:
    photo = of_levels(np.full((16, 32, 3), 200))
    levels = pixels(augmentation({"kind": "resize", "to": 32, "mode": "letterbox"})(photo))
    np.testing.assert_allclose(levels[0, 0], MEAN, atol=0.01)
    np.testing.assert_allclose(levels[16, 16], 200, atol=0.01)


def test_the_size_is_the_steps_where_they_leave_a_square_and_else_the_canvas() -> None:
    photo = picture(0)
    assert augmentation().side == 32
    assert augmentation({"kind": "random_resized_crop", "side": 48}).side == 48
    assert (
        augmentation({"kind": "resize", "to": 40}, {"kind": "rotation"}, {"kind": "random_crop", "side": 24}).side == 24
    )
    assert augmentation({"kind": "resize", "to": 40}).side == 32  # any shape is left, so the canvas decides
    assert augmentation({"kind": "resize", "to": 40})(photo).shape == (3, 32, 32)
    big = augmentation({"kind": "random_crop", "side": 80}, {"kind": "flip"})
    with seeded(0):
        assert big(photo).shape == (3, 80, 80)  # a smaller photo gets margins


def test_random_crop_cuts_every_place_and_changes_no_pixel() -> None:
    ramp = np.zeros((40, 50, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(40)[:, None], np.arange(50)
    crop = augmentation({"kind": "random_crop", "side": 32})
    corners = set()
    for number in range(200):
        with seeded(number):
            levels = pixels(crop(of_levels(ramp))).round().astype(int)
        top, left = levels[0, 0, :2].tolist()
        np.testing.assert_array_equal(levels, ramp[top : top + 32, left : left + 32])
        corners.add((top, left))
    assert {top for top, _ in corners} == set(range(9))
    assert {left for _, left in corners} == set(range(19))


def test_random_resized_crop_keeps_to_its_ranges() -> None:
    # A ramp from 0 to 249 tells how wide and high the region was that fills the square.
    ramp = np.zeros((250, 250, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(250), np.arange(250)[:, None]
    crop = augmentation({"kind": "random_resized_crop", "side": 64, "area": (0.08, 1.0), "ratio": (0.75, 4 / 3)})
    areas, ratios = [], []
    for number in range(300):
        with seeded(number):
            levels = pixels(crop(of_levels(ramp)))
        wide = (levels[:, 48, 0].mean() - levels[:, 16, 0].mean()) * 2
        high = (levels[48, :, 1].mean() - levels[16, :, 1].mean()) * 2
        areas.append(wide * high / 250**2)
        ratios.append(wide / high)
    assert min(areas) > 0.07
    assert min(areas) < 0.15
    assert max(areas) > 0.85
    assert max(areas) < 1.05
    assert min(ratios) > 0.7
    assert max(ratios) < 1.43
    assert np.median(areas) == pytest.approx(0.5, abs=0.08)


def test_flip_mirrors_left_and_right_half_of_the_time() -> None:
    photo = picture(3, (32, 32))
    flip = augmentation({"kind": "flip"}, {"kind": "random_crop"})
    plain = preprocess(photo, CANVAS.model_copy(update={"mode": "squash", "resize": 32}))
    mirrored = 0
    for number in range(200):
        with seeded(number):
            values = flip(photo)
        same, turned = np.array_equal(values, plain), np.array_equal(values, plain[:, :, ::-1])
        assert same or turned
        mirrored += turned
    assert 70 < mirrored < 130


@pytest.mark.parametrize(("colour", "expected"), [("mean", MEAN), ("black", (0, 0, 0))])
def test_cutout_takes_one_square_out(colour: str, expected: tuple[int, ...]) -> None:
    photo = of_levels(np.full((64, 64, 3), 255))
    cut = augmentation(
        {"kind": "random_crop", "side": 64},
        {"kind": "cutout", "probability": 1, "area": (0.0625, 0.25), "colour": colour},
    )
    for number in range(50):
        with seeded(number):
            levels = pixels(cut(photo)).round().astype(int)
        gone = (levels == np.array(expected)).all(axis=2)
        rows, columns = np.flatnonzero(gone.any(axis=1)), np.flatnonzero(gone.any(axis=0))
        assert len(rows) == len(columns)  # a square
        assert 16 <= len(rows) <= 32  # 1/16 to 1/4 of 64 x 64
        assert gone[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert gone.sum() == len(rows) ** 2
        assert (levels[~gone] == 255).all()


def test_rotation_turns_by_at_most_the_degrees_and_fills_with_the_mean() -> None:
    photo = np.full((65, 65, 3), 0)
    photo[:, 32] = 255  # an upright line
    turn = augmentation({"kind": "random_crop", "side": 65}, {"kind": "rotation", "degrees": 15})
    angles = []
    for number in range(100):
        with seeded(number):
            levels = pixels(turn(of_levels(photo)))
        top, bottom = levels[12, 8:57, 0].argmax(), levels[52, 8:57, 0].argmax()
        angles.append(np.degrees(np.arctan2(float(top) - float(bottom), 40)))
    assert max(np.abs(angles)) < 17
    assert max(angles) > 8
    assert min(angles) < -8
    turned = pixels(
        _once(augmentation({"kind": "random_crop", "side": 65}, {"kind": "rotation", "degrees": 180}), photo)
    )
    assert np.isclose(turned[0, 0], MEAN, atol=0.6).all() or np.isclose(turned[0, -1], MEAN, atol=0.6).all()


def _once(step: Augmentation, levels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    with seeded(1):
        return step(of_levels(levels))


def line_of(levels: np.ndarray[Any, Any]) -> tuple[float, float]:
    """Where a dark line on white crosses rows 12 and 52, as columns."""
    top, bottom = levels[12, :, 0].argmin(), levels[52, :, 0].argmin()
    return float(top), float(bottom)


def test_affine_shears_and_moves_within_its_ranges_and_fills_with_white() -> None:
    photo = np.full((65, 65, 3), 255)
    photo[:, 31:34] = 0  # an upright line on white
    still = {"kind": "affine", "degrees": 0, "shear": 0, "scale": [1, 1], "shift": 0, "fill": "white"}
    crop = {"kind": "random_crop", "side": 65}

    def lines(**more: Any) -> list[tuple[float, float]]:
        steps = augmentation(crop, still | more)
        found = []
        for number in range(100):
            with seeded(number):
                levels = pixels(steps(of_levels(photo)))
            np.testing.assert_allclose(levels[[0, 0, -1, -1], [0, -1, 0, -1]], 255, atol=0.01)
            found.append(line_of(levels))
        return found

    assert set(lines()) == {(32.0, 32.0)} or set(lines()) == {(31.0, 31.0)}
    slopes = np.degrees(np.arctan([(bottom - top) / 40 for top, bottom in lines(shear=20)]))
    assert 12 < np.abs(slopes).max() < 24
    assert slopes.min() < -8
    assert slopes.max() > 8
    places = [top for top, _ in lines(shift=0.1)]
    assert min(places) >= 32 - 6.5 - 1.5
    assert max(places) <= 32 + 6.5 + 1.5
    assert max(places) - min(places) > 8


def test_affine_scales_within_its_range() -> None:
    photo = np.full((65, 65, 3), 255)
    photo[12:53, 12:53] = 0  # 41 pixels wide
    steps = augmentation(
        {"kind": "random_crop", "side": 65},
        {"kind": "affine", "degrees": 0, "shear": 0, "scale": [0.5, 1.25], "shift": 0, "fill": "white"},
    )
    wide = []
    for number in range(100):
        with seeded(number):
            wide.append(float((255 - pixels(steps(of_levels(photo)))[32, :, 0]).sum() / 255))
    assert 41 * 0.5 - 1.5 < min(wide) < 26
    assert 46 < max(wide) < 41 * 1.25 + 1.5
    with pytest.raises(ValidationError, match="least first"):
        augmentation({"kind": "affine", "scale": [1.2, 0.8]})


def test_elastic_moves_every_pixel_by_a_smooth_field_of_the_size_it_says() -> None:
    # A ramp tells where each pixel came from.
    ramp = np.zeros((64, 64, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = 4 * np.arange(64), 4 * np.arange(64)[:, None]
    bend = augmentation({"kind": "random_crop", "side": 64}, {"kind": "elastic", "points": 4, "shift": 0.05})
    moves = []
    for number in range(60):
        with seeded(number):
            levels = pixels(bend(of_levels(ramp)))
        moved = (levels[..., :2] - ramp[..., :2]) / 4  # pixels, along both axes
        middle = moved[16:48, 16:48]
        # Drawn for each pixel alone, neighbours would move apart by 4.5 pixels, one standard deviation.
        assert np.abs(np.diff(middle, axis=0)).max() < 2
        assert np.abs(np.diff(middle, axis=1)).max() < 2
        # Points of the field lie at thirds of the side: there it is what was drawn.
        moves.append(moved[21:43:21, 21:43:21].ravel())
    assert np.std(moves) == pytest.approx(0.05 * 64, rel=0.15)
    assert np.mean(moves) == pytest.approx(0, abs=0.5)
    white = augmentation({"kind": "random_crop", "side": 64}, {"kind": "elastic", "shift": 0.2})
    np.testing.assert_allclose(pixels(_once(white, np.full((64, 64, 3), 255))), 255, atol=0.01)  # no hairline


def test_greyscale_is_the_brightness_in_all_channels() -> None:
    photo = picture(5, (32, 32))
    levels = pixels(augmentation({"kind": "random_crop"}, {"kind": "greyscale", "probability": 1})(photo))
    expected = np.asarray(photo, np.float64) @ [0.299, 0.587, 0.114]
    for channel in range(3):
        np.testing.assert_allclose(levels[..., channel], expected, atol=0.6)


ALL = [
    {"kind": "random_resized_crop"},
    {"kind": "auto_augment"},
    {"kind": "rand_augment"},
    {"kind": "colour_jitter", "probability": 1},
    {"kind": "rephotographed", "probability": 1},
    {"kind": "rotation"},
    {"kind": "affine"},
    {"kind": "elastic"},
    {"kind": "cutout"},
]


@pytest.mark.parametrize("step", ALL, ids=lambda step: step["kind"])
def test_every_step_hangs_on_the_seed_alone_and_leaves_torchs_numbers_as_they_were(step: dict[str, Any]) -> None:
    photo, steps = picture(6), augmentation(step)

    def draw(seed: int) -> np.ndarray[Any, Any]:
        with seeded(seed, "photo"):
            return steps(photo)

    before = torch.get_rng_state()
    pictures = [draw(seed) for seed in range(8)]
    np.testing.assert_array_equal(draw(3), pictures[3])
    assert torch.equal(torch.get_rng_state(), before)
    assert len({one.tobytes() for one in pictures}) > 2
    assert all(one.shape == (3, 32, 32) and one.dtype == np.float32 for one in pictures)


def test_unknown_steps_and_words_are_refused() -> None:
    with pytest.raises(ValidationError, match="flop"):
        augmentation({"kind": "flop"})
    with pytest.raises(ValidationError, match="extra"):
        augmentation({"kind": "flip", "probabilty": 0.5})


def test_seeds_hang_on_every_part_of_the_place() -> None:
    places = [(0, "photo", 0, 1), (0, "photo", 1, 0), (0, "mix", 0, 1), (1, "photo", 0, 1), (0, "photo", 0, 11)]
    assert len({seed_of(*place) for place in places}) == len(places)
    assert all(0 <= seed_of(*place) < 2**63 for place in places)
