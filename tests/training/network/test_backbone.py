from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

import timm  # noqa: E402
from pydantic import ValidationError  # noqa: E402

from training.errors import RecipeInvalid  # noqa: E402
from training.network.backbone import Backbone, BackboneSpec  # noqa: E402
from training.network.network import NetworkSpec  # noqa: E402

pytestmark = pytest.mark.torch

SEEDS = [
    "densenet121",
    "efficientnet_b3",
    "efficientnet_b4",
    "inception_v4",
    "res2net101_26w_4s",
    "resnest101e",
    "resnet101",
    "resnet152",
    "resnet152s.gluon_in1k",
    "resnet50",
    "seresnet101",
    "seresnext101_32x4d.gluon_in1k",
    "seresnext50_32x4d",
    "tf_efficientnet_b3.ns_jft_in1k",
    "tresnet_xl",
    "vgg16_bn",
]
MODERN = ["convnext_tiny", "eva02_tiny_patch14_224", "swin_tiny_patch4_window7_224", "vit_small_patch14_dinov2"]


def _backbone(name: str) -> Backbone:
    torch.manual_seed(0)
    return Backbone(BackboneSpec(name=name).load(classifier=False))


def _photos(height: int, width: int) -> torch.Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if "101" in name or "152" in name else name for name in SEEDS]
)
def test_every_backbone_of_the_seeds(name: str) -> None:
    spec = {"backbone": {"name": name}, "pooling": {"kind": "gem"}, "neck": {"kind": "linear_bn_prelu", "dim": 8}}
    network = NetworkSpec.model_validate(spec).build(3)
    out = network(_photos(80, 96))
    assert out.features.shape[:2] == (2, network.channels)
    assert out.embedding.shape == (2, 8)
    for tensor in (out.features, out.pooled, out.embedding):
        assert torch.isfinite(tensor).all()


@pytest.mark.parametrize("name", [*MODERN, "resnet18", "mvitv2_tiny", "mambaout_femto"])
def test_whatever_the_order_of_axes_a_place_of_the_map_is_a_place_of_the_photo(name: str) -> None:
    """A photo that changes in its lower right corner changes the map most in its lower right corner."""
    backbone = _backbone(name).eval()
    side = 28 if backbone.patch == 14 else 32
    plain = torch.zeros(1, 3, 3 * side, 5 * side)
    spotted = plain.clone()
    spotted[..., -side:, -side:] = 3.0
    with torch.inference_mode():
        before, after = backbone(plain), backbone(spotted)
    assert before.shape[1] == backbone.channels
    assert before.shape[3] / before.shape[2] == pytest.approx(5 / 3)
    change = (after - before).square().sum(1)[0]
    row, column = np.unravel_index(int(change.argmax()), change.shape)
    assert row >= change.shape[0] * 2 // 3
    assert column >= change.shape[1] * 4 // 5


def test_a_map_of_tokens_is_timms_own() -> None:
    backbone = _backbone("vit_small_patch14_dinov2").eval()
    photos = _photos(56, 84)
    with torch.inference_mode():
        (expected,) = backbone.model.forward_intermediates(photos, indices=1, norm=True, intermediates_only=True)
        torch.testing.assert_close(backbone(photos), expected)


def test_nothing_is_kept_that_a_map_does_not_need() -> None:
    """So that no weights lie idle, and processes that train together all get gradients for all of them."""
    sizes = {}
    for name in ("vgg16_bn", "mobilenetv3_small_100", "resnet18"):
        backbone = _backbone(name)
        backbone(_photos(64, 64)).sum().backward()
        assert [key for key, p in backbone.named_parameters() if p.grad is None] == []
        sizes[name] = sum(p.numel() for p in backbone.parameters())
    assert sizes["vgg16_bn"] < 15e6  # of 138 million
    whole = timm.create_model("mobilenetv3_small_100").eval()
    ours = _backbone("mobilenetv3_small_100").eval()
    ours.model.load_state_dict(whole.state_dict(), strict=False)
    torch.testing.assert_close(ours(_photos(64, 64)), whole.forward_features(_photos(64, 64)))


def test_options_reach_the_model() -> None:
    model = BackboneSpec(name="convnext_tiny", drop_path_rate=0.2, drop_rate=0.1).load(classifier=False)
    rates = [part.drop_prob for part in model.modules() if type(part).__name__ == "DropPath"]
    assert max(rates) == pytest.approx(0.2)


def test_a_model_is_told_its_widths() -> None:
    spec = BackboneSpec(name="resnet10t", options={"channels": [32, 64, 128, 256], "stem_width": 16})
    narrow = Backbone(spec.load(classifier=False))
    assert narrow(_photos(64, 64)).shape == (2, 256, 2, 2)
    weights, all_of_them = (sum(p.numel() for p in one.parameters()) for one in (narrow, _backbone("resnet10t")))
    assert weights < all_of_them / 3
    assert BackboneSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize("options", [{"widths": [1, 2]}, {"channels": "wide"}, {"block": "Basic"}])
def test_options_that_a_model_does_not_have_are_told(options: dict[str, object]) -> None:
    with pytest.raises(RecipeInvalid, match=f"resnet10t of .*{next(iter(options))}"):
        BackboneSpec(name="resnet10t", options=options).load(classifier=False)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["checkpoint_path", "pretrained", "num_classes", "img_size", "features_only"])
def test_options_that_are_not_the_models_own_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=f"takes none of {name}"):
        BackboneSpec(name="resnet10t", options={name: 1})


def test_checkpointing_changes_no_gradient() -> None:
    gradients = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        spec = {"backbone": {"name": "resnet18", "checkpointing": checkpointing}}
        backbone = NetworkSpec.model_validate(spec).build(3).backbone.train()
        assert backbone.model.grad_checkpointing is checkpointing
        backbone(_photos(64, 64)).sum().backward()
        gradients.append(backbone.model.conv1.weight.grad)
    torch.testing.assert_close(*gradients)


def test_a_model_of_one_size_is_told_it() -> None:
    spec = BackboneSpec(name="mixer_s16_224", size=64)
    assert Backbone(spec.load(classifier=False))(_photos(64, 64)).shape == (2, 512, 4, 4)
    with pytest.raises(RecipeInvalid, match="img_size"):
        BackboneSpec(name="resnet18", size=64).load(classifier=False)


def test_mistakes_are_told() -> None:
    with pytest.raises(RecipeInvalid, match=r"'resnet_50'; near are .*resnet50"):
        _backbone("resnet_50")
    with pytest.raises(RecipeInvalid, match="no_such_tag"):
        _backbone("resnet50.no_such_tag")


def test_weights_of_other_classes_or_none(tmp_path: Path) -> None:
    whole = timm.create_model("resnet18", num_classes=7)
    bare = {name: value for name, value in whole.state_dict().items() if not name.startswith("fc.")}
    for given in (whole.state_dict(), {"state_dict": bare}):
        torch.save(given, tmp_path / "w.pth")
        backbone = Backbone(BackboneSpec(name="resnet18", weights=str(tmp_path / "w.pth")).load(classifier=False))
        for name, value in backbone.model.state_dict().items():
            assert torch.equal(value, bare[name])
