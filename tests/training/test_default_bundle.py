"""The shipped bundle is what its recipe makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

import onnx  # noqa: E402
from onnx import numpy_helper  # noqa: E402

from embedding.bundle import SHIPPED, Bundle  # noqa: E402
from embedding.embedder import Embedder  # noqa: E402
from embedding.preprocess import preprocess  # noqa: E402
from training.export.default_bundle import PREPROCESS, build, embedding_model  # noqa: E402
from training.export.onnx_graph import ParityError, check_parity, export_graph  # noqa: E402
from training.export.package_photos import load_package_photos  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return build(tmp_path_factory.mktemp("bundle"))


def test_it_is_small_enough_to_ship() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) <= 26_000_000


def test_rebuilding_gives_the_same_weights_and_description(rebuilt: Bundle) -> None:
    shipped = Bundle.open()
    same = {"name", "version", "backbone", "dim", "preprocess", "models", "precision", "license", "views"}
    assert shipped.manifest.model_dump(include=same) == rebuilt.manifest.model_dump(include=same)
    ours, theirs = (
        {t.name: numpy_helper.to_array(t) for t in onnx.load(b.model_path("float32")).graph.initializer}
        for b in (shipped, rebuilt)
    )
    assert sorted(ours) == sorted(theirs)
    for name, values in ours.items():
        np.testing.assert_allclose(values, theirs[name], rtol=2e-3, atol=1e-4, err_msg=name)


def test_the_shipped_model_is_the_torch_model(rebuilt: Bundle) -> None:
    photos = load_package_photos()
    with torch.inference_mode():
        expected = embedding_model()(torch.from_numpy(np.stack([preprocess(p, PREPROCESS) for p in photos]))).numpy()
    shipped = Embedder(Bundle.open()).embed(photos)
    assert np.einsum("nd,nd->n", shipped, expected).min() > 0.9999
    background = Bundle.open().distractors()
    assert np.einsum("nd,nd->n", shipped, background).min() > 0.9999
    views, again = Bundle.open().distractor_views(), rebuilt.distractor_views()
    assert np.einsum("nvd,nvd->nv", views, again).min() > 0.99


@pytest.mark.parametrize("shape", [(1, 288, 288), (3, 225, 301), (2, 321, 64)])
def test_the_graph_takes_any_batch_and_size(rebuilt: Bundle, shape: tuple[int, int, int]) -> None:
    n, height, width = shape
    photos = np.random.default_rng(0).standard_normal((n, 3, height, width)).astype(np.float32)
    check_parity(embedding_model(), rebuilt.model_path("float32"), photos, min_cosine=0.9999, max_abs_difference=5e-3)


def test_a_model_that_computes_something_else_is_not_exported(tmp_path: Path) -> None:
    model = embedding_model()
    export_graph(model, tmp_path / "model.onnx", size=64)
    with torch.no_grad():
        model.members[0].projection.weight[0] *= -1
    photo = np.random.default_rng(0).standard_normal((1, 3, 64, 64)).astype(np.float32)
    with pytest.raises(ParityError, match=r"model\.onnx"):
        check_parity(model, tmp_path / "model.onnx", photo, min_cosine=0.999, max_abs_difference=1e-3)
