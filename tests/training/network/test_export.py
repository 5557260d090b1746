"""What a bundle holds of a network: the same numbers out of ONNX, photo by photo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

from training.errors import RecipeInvalid  # noqa: E402
from training.export.onnx_graph import INPUT, OUTPUT, check_parity, export_graph  # noqa: E402
from training.losses.arcface import ArcFaceSpec  # noqa: E402
from training.network.network import Network, NetworkSpec  # noqa: E402

pytestmark = pytest.mark.torch

POOLINGS = [
    {"kind": "average"},
    {"kind": "max"},
    {"kind": "average_max"},
    {"kind": "gem"},
    {"kind": "gem", "per_channel": True, "ceiling": 1e4},
]
NECKS = [
    {"kind": "none"},
    {"kind": "linear", "dim": 8},
    {"kind": "linear_bn_prelu", "dim": 8, "dropout": 0.3},
    {"kind": "mlp", "dim": 8},
    {"kind": "stripes", "dim": 4},
]


def _network(**parts: Any) -> Network:
    torch.manual_seed(0)
    network = NetworkSpec.model_validate({"backbone": {"name": "resnet10t"}, **parts}).build(classes=5)
    network(_photos(4, 64, 64))  # so that batch norms have moments of their own
    return network


def _photos(n: int, height: int, width: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(n, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("parts", [*({"pooling": p} for p in POOLINGS), *({"neck": n} for n in NECKS[1:])], ids=str)
def test_onnx_is_torch_at_any_size(parts: dict[str, Any], tmp_path: Path) -> None:
    embedder = _network(**parts).embedder()
    export_graph(embedder, tmp_path / "m.onnx", size=64)
    for height, width in ((64, 64), (96, 160)):
        photos = _photos(3, height, width).numpy()
        check_parity(embedder, tmp_path / "m.onnx", photos, min_cosine=0.99999, max_abs_difference=1e-4)


@pytest.mark.parametrize(("name", "size"), [("vit_tiny_patch16_224", 64), ("eva02_tiny_patch14_224", 70)])
def test_positions_are_settled_for_one_size(name: str, size: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = NetworkSpec.model_validate({"backbone": {"name": name}}).build(classes=5)
    assert not network.backbone.size_in_graph
    network.backbone.model.blocks = network.backbone.model.blocks[:3]  # the others are alike
    fixed, photos = network.embedder(size=(size, size)), _photos(3, size, size)
    with torch.inference_mode():
        torch.testing.assert_close(fixed(photos), network.embedder()(photos))
    export_graph(fixed, tmp_path / "m.onnx", size=size)
    check_parity(fixed, tmp_path / "m.onnx", photos.numpy(), min_cosine=0.99999, max_abs_difference=1e-4)


@pytest.mark.parametrize("neck", NECKS, ids=lambda neck: neck["kind"])
def test_an_embedding_is_of_unit_length_and_its_own(neck: dict[str, Any], tmp_path: Path) -> None:
    network = _network(neck=neck)
    embedder = network.embedder()
    export_graph(embedder, tmp_path / "m.onnx", size=64)
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    photos = _photos(7, 64, 64).numpy()
    together = session.run([OUTPUT], {INPUT: photos})[0]
    alone = np.concatenate([session.run([OUTPUT], {INPUT: photo[None]})[0] for photo in photos])
    assert np.array_equal(together, alone)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-5)
    expected = network.eval()(_photos(7, 64, 64)).embedding.detach()
    np.testing.assert_allclose(together, torch.nn.functional.normalize(expected).numpy(), atol=1e-5)


def test_the_embedder_is_a_copy_in_evaluation_mode() -> None:
    network = _network(neck={"kind": "mlp", "dim": 8}, classifier={"kind": "linear"})
    before = {name: value.clone() for name, value in network.state_dict().items()}
    embedder = network.embedder()
    embedder(_photos(2, 64, 64))
    assert network.training
    assert not embedder.training
    assert not [name for name, p in embedder.named_parameters() if p.requires_grad or "classifier" in name]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_scores_of_the_classifier_or_of_a_margin_loss() -> None:
    photos = _photos(3, 64, 64)
    network = _network(neck={"kind": "linear", "dim": 8}, classifier={"kind": "linear", "dropout": 0.5})
    unit, scores = network.embedder(with_scores=True)(photos)
    plain = network.eval()(photos)
    torch.testing.assert_close(scores, plain.logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(unit, torch.nn.functional.normalize(plain.embedding))
    loss = ArcFaceSpec().build(classes=5, dim=8, counts=torch.ones(5))
    scores = network.embedder(with_scores=True, scorer=loss.scorer())(photos)[1]
    torch.testing.assert_close(scores, loss.scores(plain.embedding), rtol=1e-4, atol=1e-4)
    whale = _network(neck={"kind": "stripes", "dim": 4}, classifier={"kind": "stripes"})
    scores = whale.embedder(with_scores=True)(photos)[1]
    torch.testing.assert_close(scores, whale.eval()(photos).logits, rtol=1e-4, atol=1e-5)


def test_scores_that_nothing_gives_are_refused() -> None:
    with pytest.raises(RecipeInvalid, match="no classifier"):
        _network().embedder(with_scores=True)
