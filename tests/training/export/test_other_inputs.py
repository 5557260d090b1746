"""A network whose photos are wide and grey: judged, exported and served as its recipe says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the training extra")

from embedding.embedder import Embedder  # noqa: E402
from embedding.preprocess import preprocess  # noqa: E402
from tests.training.run.small import draw_photos, small_recipe  # noqa: E402
from training.data.augment.pipeline import Augmentation  # noqa: E402
from training.export.checkpoint_bundle import Wanted, export_checkpoint  # noqa: E402
from training.recipe import with_overrides  # noqa: E402
from training.run.loop import train  # noqa: E402
from training.run.trained import load_trained  # noqa: E402

pytestmark = pytest.mark.torch

STAGE = {
    "name": "only",
    "epochs": 1,
    "batch": 12,
    "max_steps": 1,
    "objective": {"terms": [{"loss": {"kind": "cross_entropy"}}]},
    "optimiser": {"kind": "sgd", "lr": 0.01},
}


def test_wide_and_grey_from_the_recipe_to_the_bundle(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    recipe = with_overrides(
        small_recipe(stages=[STAGE]), ["data.preprocess.width=64", "data.preprocess.grey=true", "data.augment=[]"]
    )
    photos = draw_photos(tmp_path / "photos")
    best = train(recipe, photos, tmp_path / "run", device="cpu").best
    background = str(draw_photos(tmp_path / "background", labels=1))
    wanted = Wanted("wide", "1", "MIT", photos=str(photos), distractors=background)
    bundle = export_checkpoint(best, tmp_path / "bundle", wanted)
    assert bundle.manifest.preprocess.size == (32, 64)
    image = Image.open(tmp_path / "photos" / "3" / "1.png")
    with torch.inference_mode():
        batch = torch.from_numpy(preprocess(image, bundle.manifest.preprocess)[None])
        expected = load_trained(best).embedder()(batch).numpy()
    np.testing.assert_allclose(Embedder(bundle).embed([image]), expected, atol=1e-4)
    grey = image.convert("L").convert("RGB")
    np.testing.assert_array_equal(Embedder(bundle).embed([image]), Embedder(bundle).embed([grey]))
    assert "32 x 64 (squash, grey)" in (bundle.folder / "MODEL_CARD.md").read_text()


def test_training_photos_are_grey_too() -> None:
    """Whatever size the steps leave."""
    canvas = small_recipe().data.preprocess.model_copy(update={"grey": True})
    steps = with_overrides(small_recipe(), ["data.augment=[{kind: random_crop, side: 24}]"]).data.augment
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8))
    seen = Augmentation(steps, canvas)(image)
    assert seen.shape == (3, 24, 24)
    assert (seen[0] == seen[1]).all()
    assert (seen[1] == seen[2]).all()
