from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

from training.batch import Batch  # noqa: E402
from training.dcl.dcl import Dcl, DclSpec, location_targets  # noqa: E402
from training.errors import RecipeInvalid  # noqa: E402
from training.network.network import Network, NetworkSpec  # noqa: E402

pytestmark = pytest.mark.torch

CLASSES = 5


def _network(classifier: str = "linear") -> Network:
    torch.manual_seed(0)
    spec = {"backbone": {"name": "resnet18"}, "classifier": {"kind": classifier}}
    return NetworkSpec.model_validate(spec).build(CLASSES).eval()


def _dcl(**words: Any) -> Dcl:
    torch.manual_seed(1)
    return DclSpec.model_validate({"cells": 3, "border": 0, **words}).build(CLASSES, 512)


def _batch() -> Batch:
    images = torch.randn(4, 3, 192, 192, generator=torch.Generator().manual_seed(2))
    return Batch(images, torch.tensor([0, 3, 4, 3]))


def _cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return float(-log_p[np.arange(len(labels)), labels].mean())


def test_targets_of_seven_cells() -> None:
    targets = location_targets(torch.tensor([0, 24, 48]), 7)
    np.testing.assert_allclose(targets.numpy(), [-0.4898, 0, 0.4898], atol=5e-5)


@pytest.mark.parametrize("adversary", ["class_and_state", "state"])
def test_each_term_by_hand(adversary: str) -> None:
    network, dcl, batch = _network(), _dcl(adversary=adversary, location_weight=0.01), _batch()
    destroyed = dcl.confuse(batch.images, torch.Generator().manual_seed(3))
    batch = replace(batch, destroyed=destroyed)
    with torch.no_grad():
        whole, ruined = network(batch.images), network(destroyed.images)
        terms = dcl(network, whole, batch)
    labels = batch.labels.numpy()
    assert terms["dcl_class"].item() == pytest.approx(0.5 * _cross_entropy(ruined.logits.numpy(), labels), rel=1e-4)

    maps = np.concatenate([whole.features.numpy(), ruined.features.numpy()]).astype(np.float64)
    judged = maps.mean((2, 3)) @ dcl.adversary.weight.detach().numpy().T
    state = np.concatenate([labels, labels + CLASSES]) if adversary == "class_and_state" else np.repeat([1, 0], 4)
    assert terms["dcl_adversary"].item() == pytest.approx(_cross_entropy(judged, state), rel=1e-4)

    one = np.einsum("nchw,c->nhw", maps, dcl.locator.weight.detach().numpy()[0, :, 0, 0])
    one = (one + dcl.locator.bias.item()).reshape(8, 3, 2, 3, 2).mean((2, 4))  # 6 x 6 -> 3 x 3
    numbers = np.concatenate([np.tile(np.arange(9), (4, 1)), destroyed.positions.numpy()])
    expected = np.abs(np.tanh(one).reshape(8, 9) - (numbers - 4) / 9).mean()
    assert terms["dcl_location"].item() == pytest.approx(0.01 * expected, rel=1e-4)


def test_scores_of_the_release() -> None:
    network, batch = _network(), _batch()
    outputs = network(batch.images)
    dcl = _dcl()
    extra = outputs.features.mean((2, 3)) @ dcl.adversary.weight.T
    torch.testing.assert_close(dcl.scores(outputs), outputs.logits + extra[:, :CLASSES] + extra[:, CLASSES:])
    assert torch.equal(_dcl(adversary="state").scores(outputs), outputs.logits)


def test_a_resumed_run_destroys_alike_and_each_step_anew() -> None:
    network, batch, first = _network(), _batch(), _dcl()
    with torch.no_grad():
        outputs = network(batch.images)
        steps = [first(network, outputs, batch)]
        saved = {name: value.clone() for name, value in first.state_dict().items()}
        steps.append(first(network, outputs, batch))
        resumed = _dcl()
        resumed.load_state_dict(saved)
        again = resumed(network, outputs, batch)
    assert again == steps[1]
    assert steps[0]["dcl_class"] != steps[1]["dcl_class"]


def test_everything_learns_from_it() -> None:
    network, dcl, batch = _network().train(), _dcl(), _batch()
    sum(dcl(network, network(batch.images), batch).values()).backward()
    for module in (network, dcl):
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in module.parameters())


def test_it_is_not_in_what_is_exported() -> None:
    names = [name for name, _ in _network().embedder(with_scores=True).named_parameters()]
    assert not [name for name in names if "adversary" in name or "locator" in name]


def test_mistakes_are_told() -> None:
    network, batch, dcl = _network(), _batch(), _dcl()
    outputs = network(batch.images)
    with pytest.raises(RecipeInvalid, match="mixed"):
        dcl(network, outputs, replace(batch, mixed=torch.full((4, CLASSES), 0.2)))
    with pytest.raises(RecipeInvalid, match="6 x 6"):
        _dcl(cells=7)(network, outputs, batch)
    bare = _network("none")
    with pytest.raises(RecipeInvalid, match="classifier"):
        dcl(bare, bare(batch.images), batch)
