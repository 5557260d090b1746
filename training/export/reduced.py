"""Fewer numbers a photo: the directions in which photos' embeddings lie, appended to a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from embedding.preprocess import PreprocessSpec, preprocess
from training.adapt.graph import append_map
from training.export.joined_check import Photos
from training.export.onnx_graph import OUTPUT, run_graph

__all__ = ["leading_directions", "reduce_dim"]

_AT_ONCE = 32


def leading_directions(rows: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    """The `dim` directions (dim, d) that keep most of the length of `rows` (n, d), orthonormal.

    Singular vectors without centring: cosines are taken from the origin, so it is these that change least
    (Eckart-Young). Signs are fixed so that the largest entry of each is positive.
    """
    vectors = np.linalg.eigh(rows.T.astype(np.float64) @ rows)[1][:, ::-1][:, :dim].T
    largest = vectors[np.arange(dim), np.abs(vectors).argmax(1)]
    return np.asarray(vectors * np.sign(largest)[:, None], np.float32)


def reduce_dim(source: Path, target: Path, dim: int, spec: PreprocessSpec, photos: Photos) -> dict[str, Any]:
    """Write `source` with an embedding of `dim` numbers; how much of embeddings that it was not found on it keeps.

    Args:
        source, target: ONNX files.
        dim: less than the embedding has.
        spec: preprocessing of the graph.
        photos: to find the directions on, and to measure with.
    """
    fitted = np.concatenate(
        [
            run_graph(source, np.stack([preprocess(one, spec) for one in photos.fitted[at : at + _AT_ONCE]]))[OUTPUT]
            for at in range(0, len(photos.fitted), _AT_ONCE)
        ]
    )
    directions = leading_directions(fitted, dim)
    append_map(source, target, directions)
    _declare(target, dim)
    whole = run_graph(source, np.stack([preprocess(one, spec) for one in photos.compared]))[OUTPUT]
    kept = np.linalg.norm(whole @ directions.T, axis=1) ** 2
    pairs = np.triu_indices(len(whole), 1)
    small = whole @ directions.T / np.sqrt(kept)[:, None]
    change = np.abs((small @ small.T - whole @ whole.T)[pairs])
    return {
        "found_on_photos": len(fitted),
        "mean_kept": float(kept.mean()),
        "min_kept": float(kept.min()),
        "mean_change_of_cosines": float(change.mean()),
    }


def _declare(path: Path, dim: int) -> None:
    """The graph's own word on the embedding's length."""
    model = onnx.load(path)
    for output in model.graph.output:
        if output.name == OUTPUT:
            output.type.tensor_type.shape.dim[1].dim_value = dim
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))
