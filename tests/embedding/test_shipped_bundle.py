"""The bundle that comes with the package, used as a caller would use it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scenes import Save, scene

from embedding.bundle import Bundle
from embedding.embedder import Embedder
from embedding.rephotograph import rephotograph

SCENES = [scene(420, 300, seed) for seed in range(3)]


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder(Bundle.open())


def test_it_is_whole_and_small(embedder: Embedder) -> None:
    bundle = embedder.bundle
    assert bundle.id.startswith("default@")
    assert "NOTICE" in bundle.manifest.files
    assert sum(path.stat().st_size for path in bundle.folder.iterdir() if path.is_file()) <= 26 * 2**20
    assert embedder.dim == bundle.manifest.dim <= 512
    background = bundle.distractors()
    assert background.shape[1] == embedder.dim
    np.testing.assert_allclose(np.linalg.norm(background, axis=1), 1, atol=1e-5)


def test_many_at_once_equal_one_by_one_to_the_bit(embedder: Embedder) -> None:
    together = embedder.embed(SCENES)
    np.testing.assert_array_equal(together, np.concatenate([embedder.embed([image]) for image in SCENES]))


def test_a_reduced_jpeg_embeds_as_the_whole_one_does(embedder: Embedder, save: Save) -> None:
    need = embedder.bundle.manifest.preprocess.side_needed
    large = rephotograph(scene(900, 700), seed=1).resize((6 * need, 5 * need))  # with noise: finely detailed
    data = save(large, "JPEG", quality=85)
    reduced = embedder.decode(data)
    assert min(reduced.size) * 2 == 5 * need
    whole, half = embedder.embed([large, reduced])
    assert float(whole @ half) > 0.995


def test_a_thing_photographed_again_is_nearest_to_itself(embedder: Embedder) -> None:
    """On real photos; the things in them are told apart though angle, light and background change."""
    data = pytest.importorskip("skimage.data")
    photos = [Image.fromarray(getattr(data, name)()) for name in ("astronaut", "coffee", "chelsea", "rocket")]
    again = [rephotograph(photo, seed=seed) for photo in photos for seed in range(2)]
    similarity = embedder.embed(again) @ embedder.embed(photos).T
    assert similarity.argmax(axis=1).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert similarity.max(axis=1).min() > 0.4
