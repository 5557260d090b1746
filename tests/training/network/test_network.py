from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

torch = pytest.importorskip("torch", reason="needs the training extra")

from training.errors import RecipeInvalid  # noqa: E402
from training.network.network import Network, NetworkSpec  # noqa: E402

pytestmark = pytest.mark.torch

SMALL = {"name": "resnet18"}
WHALE = {
    "backbone": SMALL,
    "pooling": {"kind": "gem", "p": 3.74, "learnable": False, "ceiling": 1e4},
    "neck": {"kind": "stripes", "stripes": 4, "dim": 6},
    "classifier": {"kind": "stripes"},
}


def _network(**parts: Any) -> Network:
    torch.manual_seed(0)
    return NetworkSpec.model_validate({"backbone": SMALL, **parts}).build(classes=5)


def _photos(n: int = 2, height: int = 64, width: int = 96) -> torch.Tensor:
    return torch.randn(n, 3, height, width, generator=torch.Generator().manual_seed(1))


def test_the_parts_come_out_one_after_another() -> None:
    network = _network(neck={"kind": "linear_bn_prelu", "dim": 16}, classifier={"kind": "linear"}).eval()
    out = network(_photos())
    assert out.features.shape == (2, 512, 2, 3)
    torch.testing.assert_close(out.pooled, out.features.mean((2, 3)))
    linear, norm, slope = network.neck
    mapped = norm(out.pooled @ linear.weight.T + linear.bias)
    torch.testing.assert_close(out.embedding, torch.where(mapped > 0, mapped, slope.weight * mapped))
    last = network.classifier.layers[1]
    torch.testing.assert_close(out.logits, out.embedding @ last.weight.T + last.bias)
    assert out.parts is None
    assert out.part_logits is None
    assert (network.channels, network.dim) == (512, 16)


def test_without_neck_and_classifier_the_pooled_vector_is_all() -> None:
    network = _network(pooling={"kind": "average_max"}).eval()
    out = network(_photos())
    assert network.dim == 1024
    assert torch.equal(out.embedding, out.pooled)
    assert out.logits is None


def test_stripes_and_their_classifiers() -> None:
    network = NetworkSpec.model_validate(WHALE).build(classes=5).eval()
    out = network(_photos(width=256))
    assert network.dim == 24
    torch.testing.assert_close(out.parts.flatten(1), out.embedding)
    assert out.part_logits.shape == (2, 4, 5)
    first = network.classifier.each[0].layers[1]
    torch.testing.assert_close(out.part_logits[:, 0], out.parts[:, 0] @ first.weight.T + first.bias)
    total = network.classifier.total.layers[1]
    torch.testing.assert_close(out.logits, out.embedding @ total.weight.T + total.bias)


def test_the_whole_classifier_of_stripes_trains_only_itself() -> None:
    network = NetworkSpec.model_validate(WHALE).build(classes=5)
    network(_photos(width=256)).logits.sum().backward()
    assert all(p.grad is None for p in network.neck.parameters())
    assert network.classifier.total.layers[1].weight.grad is not None


def test_a_classifier_of_stripes_needs_stripes() -> None:
    with pytest.raises(RecipeInvalid, match="neck of stripes"):
        _network(classifier={"kind": "stripes"})


def test_an_unknown_part_or_word_is_an_error() -> None:
    with pytest.raises(ValidationError, match="average_max"):
        NetworkSpec.model_validate({"backbone": SMALL, "pooling": {"kind": "median"}})
    with pytest.raises(ValidationError, match="Extra inputs"):
        NetworkSpec.model_validate({"backbone": {**SMALL, "dropout": 0.1}})
