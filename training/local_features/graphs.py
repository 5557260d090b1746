"""The networks as ONNX files, compared with themselves in PyTorch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from training.export.onnx_graph import ParityError, strip

__all__ = ["check_descriptions", "check_extraction", "check_pairing", "export_small", "run_both"]

Arrays = dict[str, NDArray[Any]]

_OPSET = 18
_NEAR = 0.05  # pixels within which two points are one
_LEAST_SHARED, _LEAST_COSINE, _MOST_DOUBT = 0.98, 0.999, 0.01


def export_small(
    network: nn.Module, path: Path, example: Arrays, outputs: Sequence[str], free: Mapping[str, Mapping[int, str]]
) -> None:
    """Write a network as ONNX.

    Args:
        example: its inputs by name, in order.
        free: input or output -> axis -> name, for axes of any length; all others are the example's.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # see training.export.onnx_graph
        # Sizes that it takes for constants are meant to be; whether another matters, the comparison tells.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        # An instance norm has no other mode than by the photo itself.
        warnings.filterwarnings("ignore", "ONNX export mode is set to TrainingMode.EVAL", UserWarning)
        warnings.filterwarnings("ignore", "Exporting aten::index operator of advanced indexing", UserWarning)
        # How much a photo is padded is turned around by the exporter itself, and again whenever the graph is opened.
        warnings.filterwarnings("ignore", "Constant folding - Only steps=1 can be constant folded", UserWarning)
        torch.onnx.export(
            network,
            tuple(torch.from_numpy(value) for value in example.values()),
            str(path),
            input_names=list(example),
            output_names=list(outputs),
            opset_version=_OPSET,
            dynamo=False,
            dynamic_axes={name: dict(axes) for name, axes in free.items()},
        )
    exported = onnx.load(path)
    strip(exported)
    onnx.checker.check_model(exported)
    path.write_bytes(exported.SerializeToString(deterministic=True))


def run_both(network: nn.Module, path: Path, inputs: Arrays) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """What the network gives, and what its ONNX file does."""
    with torch.inference_mode():
        given = network(*(torch.from_numpy(value) for value in inputs.values()))
    expected = [output.numpy() for output in (given if isinstance(given, tuple) else (given,))]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return expected, session.run(None, inputs)


def check_extraction(
    network: nn.Module, path: Path, photos: Sequence[Arrays], threshold: float
) -> dict[str, float | int]:
    """Features of photos, once by each: how many are the same, and how alike their descriptors are.

    Raises:
        ParityError: fewer than 98 % are the same, a cosine below 0.999, or none on any photo.
    """
    features, shared, cosines = 0, 0, [1.0]
    for photo in photos:
        (points, scores, descriptors), (other_points, _, other_descriptors) = run_both(network, path, photo)
        kept = scores > threshold
        if not kept.any():
            continue
        apart = np.abs(points[kept][:, None] - other_points[None]).max(axis=2)
        nearest = apart.argmin(axis=1)
        same = apart.min(axis=1) < _NEAR
        features, shared = features + len(same), shared + int(same.sum())
        cosines += np.einsum("nd,nd->n", descriptors[kept][same], other_descriptors[nearest[same]]).tolist()
    figures = {"features": features, "shared": shared / max(features, 1), "min_cosine": min(cosines)}
    if not (features and figures["shared"] >= _LEAST_SHARED and figures["min_cosine"] >= _LEAST_COSINE):
        raise ParityError(
            f"{path.name}: of {features} features {figures['shared']:.1%} are the network's (needed "
            f"{_LEAST_SHARED:.0%} of one or more), smallest cosine {min(cosines):.6f} (needed {_LEAST_COSINE})",
            **figures,
        )
    return figures


def check_descriptions(network: nn.Module, path: Path, patches: NDArray[np.float32]) -> dict[str, float | int]:
    """Descriptors of patches (n, 1, 32, 32), once by each.

    Raises:
        ParityError: a cosine below 0.999.
    """
    [expected], [got] = run_both(network, path, {"patches": patches})
    lowest = float(np.einsum("nd,nd->n", expected, got).min())
    if not lowest >= _LEAST_COSINE:
        raise ParityError(f"{path.name}: smallest cosine {lowest:.6f} (needed {_LEAST_COSINE})", min_cosine=lowest)
    return {"features": len(patches), "min_cosine": lowest}


def check_pairing(network: nn.Module, path: Path, pairs: Sequence[Arrays]) -> dict[str, float | int]:
    """Partners in pairs of photos, once by each.

    Raises:
        ParityError: where one has found a likely partner, the other finds another in more than 2 %; or how likely it
            is differs by more than 0.01.
    """
    found, same, doubt = 0, 0, 0.0
    for pair in pairs:
        (partners, likely), (other_partners, other_likely) = run_both(network, path, pair)
        either = (likely > 0.1) | (other_likely > 0.1)
        agreed = partners == other_partners
        found, same = found + int(either.sum()), same + int((agreed & either).sum())
        doubt = max(doubt, float(np.abs(likely - other_likely)[agreed].max(initial=0.0)))
    figures = {"pairs": found, "same": same / found if found else 1.0, "max_difference": doubt}
    if not (figures["same"] >= _LEAST_SHARED and doubt <= _MOST_DOUBT):
        raise ParityError(
            f"{path.name}: of {found} pairs {figures['same']:.1%} are the network's (needed {_LEAST_SHARED:.0%}), "
            f"how likely they are differs by up to {doubt:.4f} (allowed {_MOST_DOUBT})",
            **figures,
        )
    return figures
