"""Files of a photo, and bundles of tiny real ONNX models."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from scenes import SPEC, MakeBundle, Save, scene

from embedding.bundle import Bundle, write_manifest
from embedding.manifest import Manifest


@pytest.fixture
def photo() -> Image.Image:
    return scene()


@pytest.fixture
def save() -> Save:
    def _save(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:  # noqa: A002
        file = io.BytesIO()
        image.save(file, format, **options)
        return file.getvalue()

    return _save


def model_bytes(dim: int = 16, *, ending: str = "unit", seed: int = 0) -> bytes:
    """Convolution, ReLU6, average pool, matrix, then ``ending``: unit length, or a fault."""
    random = np.random.RandomState(seed)
    weights = {
        "stem": random.randn(24, 3, 3, 3) / 5,
        "wide": random.randn(64, 24, 1, 1) / 5,
        "head": random.randn(64, dim),
        "low": np.float32(0),
        "high": np.float32(6),
        "minus": np.float32(-1),
    }
    nodes = [
        helper.make_node("Conv", ["image", "stem"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Clip", ["a", "low", "high"], ["b"]),
        helper.make_node("Conv", ["b", "wide"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["d"]),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("MatMul", ["e", "head"], ["f"]),
    ]
    nodes += {
        "unit": [helper.make_node("LpNormalization", ["f"], ["embedding"], axis=1, p=2)],
        "long": [helper.make_node("Identity", ["f"], ["embedding"])],
        "nan": [
            helper.make_node("Abs", ["f"], ["g"]),
            helper.make_node("Mul", ["g", "minus"], ["h"]),
            helper.make_node("Log", ["h"], ["embedding"]),
        ],
    }[ending]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", dim])],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@pytest.fixture
def make_bundle(tmp_path: Path) -> MakeBundle:
    """A bundle of a tiny model; keyword arguments replace fields of its manifest."""
    count = iter(range(100))

    def _make(*, ending: str = "unit", model_dim: int = 16, distractors: Any = None, **fields: Any) -> Bundle:
        folder = tmp_path / f"bundle{next(count)}"
        folder.mkdir()
        (folder / "model.onnx").write_bytes(model_bytes(model_dim, ending=ending))
        (folder / "NOTICE").write_text("made for a test\n")
        if distractors is not None:
            np.savez(folder / "distractors.npz", embeddings=distractors)
        body = {
            "name": "tiny",
            "version": "1",
            "license": "Apache-2.0",
            "backbone": "tiny",
            "dim": 16,
            "preprocess": SPEC,
            "models": {"float32": "model.onnx"},
            "precision": {"cpu": "float32"},
        }
        return write_manifest(folder, Manifest.model_validate(body | fields))

    return _make
