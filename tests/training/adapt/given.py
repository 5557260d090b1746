"""Things of which much is known: a signal that tells labels apart under a louder nuisance that does not."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper
from PIL import Image

from embedding.bundle import Bundle, write_manifest
from embedding.manifest import Manifest
from training.adapt.features import Features

DIM = 24
NUISANCE = 4


def features(
    labels: int = 16, photos: int = 6, *, nuisance: float = 2.0, strangers: int = 8, signal: float = 1.0, seed: int = 0
) -> Features:
    """Unit vectors: a label's mean in all directions, photos apart in the first `NUISANCE` directions alone."""
    random = np.random.default_rng(seed)
    means = signal * random.standard_normal((labels + strangers, DIM))
    of = np.concatenate([np.repeat(np.arange(labels), photos), np.arange(labels, labels + strangers)])
    rows = means[of] + 0.6 * random.standard_normal((len(of), DIM))
    rows[:, :NUISANCE] += nuisance * 3 * random.standard_normal((len(of), NUISANCE))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    names = [f"{label:02}/{number}.png" for number, label in enumerate(of)]
    words = [f"thing {label}" if label < labels else "" for label in of]
    return Features(tuple(names), tuple(words), unit.astype(np.float32), np.zeros((len(of), 0, DIM), np.float32))


def draw(folder: Path, labels: int = 12, photos: int = 5) -> Path:
    """Photos of 16 x 16: below, a pattern of the label's own; above, loud colours that differ from photo to photo."""
    random = np.random.default_rng(0)
    patterns = random.uniform(90, 160, (labels, 2, 4, 3))
    rows = []
    for label in range(labels):
        for photo in range(photos):
            cells = np.empty((4, 4, 3))
            cells[:2] = random.uniform(0, 255, 3) * random.uniform(0.5, 1.0, (2, 1, 1))
            cells[2:] = patterns[label] + random.normal(0, 8, (2, 4, 3))
            pixels = np.clip(cells, 0, 255).astype(np.uint8).repeat(4, axis=0).repeat(4, axis=1)
            path = folder / f"{label}" / f"{photo}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
            rows.append((f"{label}/{photo}.png", f"thing {label}"))
    with (folder / "photos.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *rows])
    return folder / "photos.csv"


def bundle(folder: Path) -> Bundle:
    """Its embedding is the mean colour of each of 4 x 4 cells, at unit length: opset 17, as others may export."""
    folder.mkdir(parents=True)
    nodes = [
        helper.make_node("AveragePool", ["image"], ["cells"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Flatten", ["cells"], ["row"]),
        helper.make_node("LpNormalization", ["row"], ["embedding"], axis=1, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        "cells",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 16, 16])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 48])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    (folder / "NOTICE").write_text("made for a test\n")
    (folder / "MODEL_CARD.md").write_text("# cells\n")
    random = np.random.default_rng(1)
    np.savez(folder / "distractors.npz", embeddings=_unit(random, 5), views=_unit(random, 5, 2))
    document = {
        "name": "cells",
        "version": "1",
        "license": "Apache-2.0",
        "backbone": "cells",
        "dim": 48,
        "preprocess": {
            "mode": "squash",
            "resize": 16,
            "crop": 16,
            "interpolation": "bilinear",
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
        },
        "models": {"float32": "model.onnx"},
        "precision": {"cpu": "float32"},
    }
    return write_manifest(folder, Manifest.model_validate(document))


def _unit(random: np.random.Generator, *shape: int) -> np.ndarray:
    rows = random.standard_normal((*shape, 48))
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
