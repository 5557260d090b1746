from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

import timm  # noqa: E402
from torch import nn  # noqa: E402

from training.optimise.groups import Rates, block_depths  # noqa: E402
from training.optimise.optimisers import SGD, Adam, AdamW  # noqa: E402

pytestmark = pytest.mark.torch


class _Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = timm.create_model("resnet10t", pretrained=False, num_classes=0, global_pool="")
        self.neck = nn.Linear(512, 4)


class _Learner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = _Network()
        self.objective = nn.Linear(4, 3, bias=False)


def test_blocks_are_counted_from_the_photo() -> None:
    depths = block_depths(_Learner())
    assert depths["network.backbone.conv1.0.weight"] == 0
    assert depths["network.backbone.layer1.0.conv1.weight"] == 1
    assert depths["network.backbone.layer4.0.conv1.weight"] == 4
    assert all(name.startswith("network.backbone.") for name in depths)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("network.backbone.conv1.0.weight", 0.5 * 0.1 * 0.9**4),
        ("network.backbone.layer1.0.conv1.weight", 0.5 * 0.1 * 0.9**3),
        ("network.backbone.layer2.0.conv1.weight", 0.5 * 0.9**2),
        ("network.backbone.layer4.0.conv1.weight", 0.5),
        ("network.neck.weight", 10.0),
        ("objective.weight", 3.0),
    ],
)
def test_factors_multiply(name: str, expected: float) -> None:
    rates = Rates(backbone=0.5, early=0.1, block_decay=0.9, heads=10, losses=3)
    assert rates.factor(name, block_depths(_Learner())) == pytest.approx(expected)


def test_the_rate_follows_the_batch() -> None:
    assert SGD(lr=0.1, lr_batch=256).lr_of(64) == pytest.approx(0.025)
    assert SGD(lr=0.1).lr_of(64) == 0.1


def test_every_parameter_once_and_norms_without_decay() -> None:
    learner = _Learner()
    optimiser = AdamW(lr=1e-3, weight_decay=0.05, decay_norms=False, rates=Rates(heads=10)).build(learner, 8)
    groups = optimiser.param_groups
    assert sum(len(group["params"]) for group in groups) == len(list(learner.parameters()))
    for group in groups:
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.05 if parameter.ndim > 1 else 0.0)
    of = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    assert of[id(learner.network.neck.bias)] == pytest.approx(1e-2)
    assert of[id(learner.objective.weight)] == pytest.approx(1e-3)


def test_what_is_frozen_is_left_out() -> None:
    learner = _Learner()
    learner.network.backbone.requires_grad_(False)
    optimiser = Adam(lr=1e-3).build(learner, 8)
    assert sum(len(group["params"]) for group in optimiser.param_groups) == 3


def test_nesterov_without_momentum_is_refused() -> None:
    with pytest.raises(ValueError, match="nesterov needs a momentum"):
        SGD(lr=0.1, momentum=0.0)
