"""The simulated second photo: the same thing, visibly another picture, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import RandomState
from PIL import Image
from scenes import scene

from embedding.rephotograph import _LEAST_VISIBLE, _homography, _viewpoint, _visible, rephotograph


def test_the_seed_decides_everything() -> None:
    image = scene(300, 200)
    first = rephotograph(image, seed=5)
    np.random.seed(1)  # the global stream must not matter
    assert first.tobytes() == rephotograph(image, seed=5).tobytes()
    assert first.tobytes() != rephotograph(image, seed=6).tobytes()
    assert image.tobytes() == scene(300, 200).tobytes()


@settings(max_examples=25, deadline=None)
@given(st.integers(8, 700), st.integers(8, 700), st.integers(0, 2**64), st.floats(0, 1.5))
def test_any_shape_gives_a_camera_photo(width: int, height: int, seed: int, strength: float) -> None:
    got = rephotograph(scene(width, height), seed=seed, strength=strength)
    assert got.mode == "RGB"
    assert 400 <= max(got.size) <= 900
    assert max(got.size) / min(got.size) < 1.4


@given(st.integers(0, 10_000), st.sampled_from([(400, 300), (300, 400), (1000, 100), (64, 64)]))
def test_most_of_the_thing_stays_in_the_picture(seed: int, thing: tuple[int, int]) -> None:
    canvas = (640, 480)
    corners = _viewpoint(thing, canvas, RandomState(seed), 1.0)
    assert _visible(corners - np.array(canvas) / 2, canvas) >= _LEAST_VISIBLE
    edges = np.roll(corners, -1, axis=0) - corners
    following = np.roll(edges, -1, axis=0)
    assert (edges[:, 0] * following[:, 1] - edges[:, 1] * following[:, 0] > 0).all()  # convex, not mirrored


def test_the_homography_leads_each_corner_home() -> None:
    corners = np.array([[10.0, 20.0], [300.0, 5.0], [280.0, 250.0], [30.0, 200.0]])
    a, b, c, d, e, f, g, h = _homography(corners, (100, 80))
    for (x, y), home in zip(corners, [(0, 0), (100, 0), (100, 80), (0, 80)], strict=True):
        depth = g * x + h * y + 1
        np.testing.assert_allclose([(a * x + b * y + c) / depth, (d * x + e * y + f) / depth], home, atol=1e-8)


def test_strength_grows_the_change() -> None:
    """Mean difference from the thing laid flat, over some seeds; at 0 little more than JPEG's loss is left."""
    image = scene(400, 300)

    def change(strength: float) -> float:
        total = 0.0
        for seed in range(6):
            got = rephotograph(image, seed=seed, strength=strength).resize(image.size)
            total += float(np.abs(np.asarray(got, float) - np.asarray(image, float)).mean())
        return total / 6

    none, half, full = change(0.0), change(0.5), change(1.0)
    assert none < 6 < half < full


def test_what_cannot_be_rephotographed() -> None:
    with pytest.raises(ValueError, match="mode L"):
        rephotograph(Image.new("L", (50, 50)), seed=1)
    with pytest.raises(ValueError, match="strength"):
        rephotograph(scene(), seed=1, strength=-1)
