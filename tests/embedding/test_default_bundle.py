"""Golden vectors of the shipped bundle: on every machine the same photo has the same embedding."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from embedding.bundle import Bundle
from embedding.embedder import Embedder


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder(Bundle.open())


def drawing(width: int, height: int) -> Image.Image:
    """A picture that is the same everywhere: smooth waves of three colours."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 17 + y / 40), np.sin(x / 33 - y / 21), np.sin((x + 2 * y) / 55)]
    return Image.fromarray(((np.stack(waves, axis=-1) + 1) * 127.5).round().astype(np.uint8))


GOLDEN = {
    # (width, height): the first three values of each network's half of the embedding
    (400, 300): (0.01937, 0.02463, -0.11402, -0.05685, 0.05404, -0.0775),
    (300, 640): (0.00907, 0.02473, -0.11587, -0.04087, 0.06073, -0.07602),
}


@pytest.mark.parametrize("size", list(GOLDEN))
def test_golden_vectors(embedder: Embedder, size: tuple[int, int]) -> None:
    (embedding,) = embedder.embed([drawing(*size)])
    assert embedding.shape == (512,)
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(embedding[[0, 1, 2, 256, 257, 258]], GOLDEN[size], atol=1e-3)


def test_alone_or_together_to_the_bit(embedder: Embedder) -> None:
    pictures = [drawing(400, 300), drawing(300, 640), drawing(64, 64), drawing(1000, 350), drawing(330, 330)]
    together = embedder.embed(pictures)
    np.testing.assert_array_equal(together, np.concatenate([embedder.embed([picture]) for picture in pictures]))


def test_the_background_is_of_different_things(embedder: Embedder) -> None:
    photos, views = embedder.bundle.distractors(), embedder.bundle.distractor_views()
    assert views.shape[0] == len(photos)
    similarities = photos @ photos.T
    assert (similarities[~np.eye(len(photos), dtype=bool)] < 0.8).all()
    assert np.einsum("nvd,nd->nv", views, photos).mean() > 0.6
