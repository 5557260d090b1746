"""Golden vectors, and the properties that make one implementation enough."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError
from scenes import SPEC, scene

from embedding.bundle import Bundle
from embedding.preprocess import PreprocessSpec, preprocess

FULL = {"resize": 32, "crop": 32}


def spec(**fields: Any) -> PreprocessSpec:
    return PreprocessSpec.model_validate(SPEC | fields)


# Written down from this implementation once the tests below held; they guard every later change.
GOLDEN = {
    "shorter_side_crop": [[-0.5059, 0.4980], [-0.7412, -0.9216], [-0.3647, -0.4039]],
    "squash": [[-0.8588, 0.8510], [-0.7569, -0.9843], [-0.3961, -0.3647]],
    "letterbox": [[0.0039, 0.0039], [0.0039, 0.0039], [0.0039, 0.0039]],
}


@pytest.mark.parametrize("mode", GOLDEN)
def test_golden_values(mode: str) -> None:
    """Two pixels of every channel: row 4, columns 2 and 29."""
    got = preprocess(scene(), spec(mode=mode, **({} if mode == "shorter_side_crop" else FULL)))
    np.testing.assert_allclose(got[:, 4, [2, 29]], GOLDEN[mode], atol=1e-4)


# What a bundle may say beyond the three, likewise.
VARIANTS: dict[str, tuple[dict[str, Any], list[list[float]]]] = {
    "squash, then cut": ({"mode": "squash_crop"}, [[-0.7647, 0.7569], [-0.702, -0.9608], [-0.3804, -0.3725]]),
    "wide": ({"mode": "squash", "width": 40} | FULL, [[-0.8902, 0.4745], [-0.749, -0.9294], [-0.3961, -0.4039]]),
    "wide letterbox": (
        {"mode": "letterbox", "width": 40} | FULL,
        [[-0.8902, 0.4745], [-0.8431, -0.9608], [-0.4039, -0.4039]],
    ),
    "grey": ({"grey": True}, [[-0.6235, -0.4353], [-0.6235, -0.4353], [-0.6235, -0.4353]]),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_golden_values_of_the_variants(name: str) -> None:
    fields, expected = VARIANTS[name]
    np.testing.assert_allclose(preprocess(scene(), spec(**fields))[:, 4, [2, 29]], expected, atol=1e-4)


@settings(deadline=None)
@given(st.integers(8, 300), st.integers(8, 300), st.integers(8, 36))
def test_squash_crop_equals_squashing_and_then_cutting(width: int, height: int, crop: int) -> None:
    image = scene(width, height)
    start = (36 - crop) // 2
    whole = preprocess(image, spec(mode="squash", resize=36, crop=36)) * 127.5
    got = preprocess(image, spec(mode="squash_crop", crop=crop)) * 127.5
    expected = whole[:, start : start + crop, start : start + crop]
    assert np.abs(got - expected).max() <= 4.01  # see the test above
    assert np.abs(got - expected).mean() <= 0.5


def test_a_wide_input_is_high_times_wide() -> None:
    chosen = spec(mode="squash", width=48, **FULL)
    assert chosen.size == (32, 48)
    assert chosen.side_needed == 48
    image = scene()
    got = preprocess(image, chosen)
    assert got.shape == (3, 32, 48)
    scaled = np.asarray(image.resize((48, 32), Image.Resampling.BICUBIC), np.float32)
    np.testing.assert_allclose(got, (scaled / 255 - 0.5).transpose(2, 0, 1) / 0.5, atol=1e-6)
    assert spec().size == (32, 32)


@pytest.mark.parametrize(
    ("size", "inside"), [((96, 64), (slice(None), slice(12, 60))), ((90, 30), (slice(4, 28), slice(None)))]
)
def test_a_wide_letterbox_touches_two_edges(size: tuple[int, int], inside: tuple[slice, slice]) -> None:
    """96 x 64 fits 72 x 32 as 48 x 32, in the middle; 90 x 30 as 72 x 24."""
    got = preprocess(Image.new("RGB", size, (255, 255, 255)), spec(mode="letterbox", width=72, **FULL))
    assert got.shape == (3, 32, 72)
    assert (got[:, inside[0], inside[1]] == 1).all()
    assert (got == 1).sum() == got[:, inside[0], inside[1]].size


def test_grey_is_brightness_in_three_channels() -> None:
    """By ITU-R 601: .299 R + .587 G + .114 B."""
    got = preprocess(Image.new("RGB", (40, 40), (200, 100, 50)), spec(grey=True)) * 127.5 + 127.5
    np.testing.assert_allclose(got, round(0.299 * 200 + 0.587 * 100 + 0.114 * 50), atol=1e-3)
    photo = preprocess(scene(), spec(grey=True))
    assert (photo[0] == photo[1]).all()
    assert (photo[1] == photo[2]).all()


def test_what_is_not_set_is_not_written() -> None:
    """A bundle from before there were grey and wide inputs is written with the same bytes."""
    assert set(spec().as_json()) == {"mode", "resize", "crop", "interpolation", "mean", "std"}
    wide = spec(mode="squash", width=48, grey=True, **FULL)
    assert wide.as_json() == wide.model_dump(mode="json")
    shipped = Bundle.open(verify=False)
    said = json.loads((shipped.folder / "manifest.json").read_text())
    assert shipped.manifest.model_dump(mode="json") == said


def test_normalisation_is_the_textbook_one() -> None:
    image = Image.new("RGB", (50, 40), (255, 102, 0))
    got = preprocess(image, spec(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)))
    assert got.shape == (3, 32, 32)
    assert got.dtype == np.float32
    assert got.flags.c_contiguous
    np.testing.assert_allclose(got[0], (1.0 - 0.485) / 0.229, rtol=1e-6)
    np.testing.assert_allclose(got[1], (0.4 - 0.456) / 0.224, rtol=1e-5)
    np.testing.assert_allclose(got[2], (0.0 - 0.406) / 0.225, rtol=1e-6)


@settings(deadline=None)
@given(st.integers(8, 300), st.integers(8, 300), st.sampled_from(["bicubic", "bilinear", "lanczos"]))
def test_crop_equals_scaling_all_and_then_cutting(width: int, height: int, interpolation: str) -> None:
    chosen = spec(interpolation=interpolation)
    image = scene(width, height)
    scale = 36 / min(width, height)
    wide, high = max(36, round(width * scale)), max(36, round(height * scale))
    left, top = (wide - 32) // 2, (high - 32) // 2
    whole = image.resize((wide, high), Image.Resampling[interpolation.upper()])
    expected = np.asarray(whole.crop((left, top, left + 32, top + 32)), np.float32).transpose(2, 0, 1)
    got = preprocess(image, chosen) * 127.5 + 127.5
    assert np.abs(got - expected).max() <= 4.01  # coordinates are rounded; it shows where few pixels are scaled far up
    assert np.abs(got - expected).mean() <= 0.5


def test_letterbox_keeps_the_shape_and_fills_with_the_mean() -> None:
    image = Image.new("RGB", (64, 32), (255, 255, 255))
    got = preprocess(image, spec(mode="letterbox", **FULL))
    assert (got[:, 8:24] == 1).all()
    assert np.abs(got[:, :8]).max() < 0.01
    assert np.abs(got[:, 24:]).max() < 0.01


@pytest.mark.parametrize("mode", ["shorter_side_crop", "squash_crop", "squash", "letterbox"])
@pytest.mark.parametrize("size", [(8, 200_000), (200_000, 8), (8, 8)])
def test_extreme_shapes_stay_cheap(mode: str, size: tuple[int, int]) -> None:
    chosen = spec(mode=mode, **({} if "crop" in mode else FULL))
    got = preprocess(Image.new("RGB", size, (255, 255, 255)), chosen)
    assert got.shape == (3, 32, 32)
    assert got.max() == 1


def test_the_image_is_left_as_it_was() -> None:
    image = scene()
    before = image.tobytes()
    preprocess(image, spec())
    assert image.tobytes() == before


def test_only_rgb() -> None:
    with pytest.raises(ValueError, match="mode L"):
        preprocess(Image.new("L", (50, 50)), spec())


@pytest.mark.parametrize(
    "fields",
    [
        {"crop": 40},
        {"mode": "squash"},
        {"mode": "stretch"},
        {"std": (0.5, 0.0, 0.5)},
        {"mean": (0.5, 0.5)},
        {"mean": (0.5, 0.5, float("nan"))},
        {"resize": 0},
        {"mode": "squash_crop", "crop": 40},
        {"mode": "squash_crop", "width": 40},
        {"width": 40},
        {"mode": "squash", "width": 0, **FULL},
        {"typo": 1},
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        spec(**fields)


def test_a_spec_travels_as_json_and_cannot_change() -> None:
    chosen = spec()
    assert PreprocessSpec.model_validate_json(chosen.model_dump_json()) == chosen
    with pytest.raises(ValidationError):
        chosen.crop = 5  # type: ignore[misc]
