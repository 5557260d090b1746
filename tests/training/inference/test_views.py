from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the training extra")

from embedding.preprocess import PreprocessSpec, preprocess  # noqa: E402
from tests.training.data.photos import picture  # noqa: E402
from training.inference.views import mean_probabilities, two_crops, view_probabilities  # noqa: E402

pytestmark = pytest.mark.torch

SPEC = PreprocessSpec(
    mode="shorter_side_crop",
    resize=32,
    crop=28,
    interpolation="bilinear",
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
)
HEAD = np.random.default_rng(0).standard_normal((3, 4))


def _scores(photos: np.ndarray) -> np.ndarray:
    """Three classes by the mean colour of a photo's left half: mirroring matters, size does not."""
    left = photos[..., : photos.shape[3] // 2]
    return np.concatenate([left.mean((2, 3)), left.std((2, 3))[:, :1]], axis=1) @ HEAD.T


def _softmax(row: np.ndarray) -> np.ndarray:
    return np.exp(row) / np.exp(row).sum()


def test_ten_crop_is_the_mean_of_ten_probabilities_by_hand() -> None:
    image = picture(3, (64, 48))
    side = 42  # 28 / 32 of the shorter side
    rows = []
    for x, y in [(0, 0), (22, 0), (0, 6), (22, 6), (11, 3)]:
        square = image.crop((x, y, x + side, y + side)).resize((28, 28), Image.Resampling.BILINEAR)
        pixels = np.asarray(square, np.float64).transpose(2, 0, 1) / 255
        for seen in (pixels, pixels[:, :, ::-1]):
            rows.append(_softmax(_scores((seen[None] - 0.5) / 0.25)[0] / 2.0))
    found = view_probabilities(image, ["ten-crop"], SPEC, _scores, temperature=2.0)
    np.testing.assert_allclose(found, np.mean(rows, axis=0), atol=2e-3)


def test_scales_and_mirror_are_looks_of_one_mean() -> None:
    image = picture(4, (64, 48))
    each = [view_probabilities(image, [view], SPEC, _scores) for view in ("scales:1", "scales:1.5", "mirrored")]
    together = view_probabilities(image, ["scales:1,1.5", "mirrored"], SPEC, _scores)
    np.testing.assert_allclose(together, np.mean(each, axis=0), atol=1e-12)
    assert together.sum() == pytest.approx(1)
    assert not np.allclose(each[0], each[2]), "the network tells a photo from its mirror image"


def test_two_crops_of_four_sizes_and_their_twins() -> None:
    image = picture(5, (300, 200))
    seen = two_crops(image, SPEC, seed=1)
    assert [look.spec.crop for look in seen] == [side for side in (224, 320, 380, 448) for _ in range(4)]
    for at in range(0, 16, 2):
        first, twin = seen[at : at + 2]
        assert twin.spec == first.spec
        np.testing.assert_array_equal(np.asarray(twin.image), np.asarray(first.image)[:, ::-1])
    for look in seen[::4]:
        assert (look.spec.mode, look.spec.resize) == ("shorter_side_crop", round(look.spec.crop * 256 / 224))
    for look in seen[2::4]:
        share = look.image.width * look.image.height / (300 * 200)
        assert 0.78 <= share <= 1.0
        assert look.image.width / look.image.height == pytest.approx(1.5, abs=0.02)


def test_draws_hang_on_the_seed() -> None:
    image = picture(5, (300, 200))
    first, again, other = (two_crops(image, SPEC, seed=seed, sides=(64,))[2].image for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes()
    assert first.size != other.size or first.tobytes() != other.tobytes()


def test_a_mean_of_looks_of_several_sizes() -> None:
    seen = two_crops(picture(6, (300, 200)), SPEC, seed=0, sides=(32, 64))
    by_hand = np.mean([_softmax(_scores(preprocess(one.image, one.spec)[None])[0]) for one in seen], axis=0)
    np.testing.assert_allclose(mean_probabilities(seen, _scores), by_hand, atol=1e-12)
