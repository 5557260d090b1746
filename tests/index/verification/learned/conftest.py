"""Networks of three nodes and more, drawn by hand: no torch, no weights, and features that are found again."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from index.verification.learned import EXTRACTOR, MANIFEST, MATCHER, LearnedManifest

SIZE, MOST, LENGTH, REACH = 128, 64, 16, 9


def graph_file(
    path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: dict[str, NDArray[Any]]
) -> None:
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "by_hand", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def write_extractor(path: Path) -> None:
    """Maxima of an edge filter; what random filters say of the neighbourhood, as a unit vector."""
    random = np.random.default_rng(0)
    edge = np.full((1, 3, 3, 3), -1 / 24, np.float32)
    edge[..., 1, 1] = 8 / 24
    filters = random.normal(size=(LENGTH, 3, REACH, REACH)).astype(np.float32)
    filters -= filters.mean(axis=(1, 2, 3), keepdims=True)
    constants = {
        "edge": edge,
        "filters": filters,
        "border": np.pad(np.ones((1, 1, SIZE - 12, SIZE - 12), np.float32), ((0, 0), (0, 0), (6, 6), (6, 6))),
        "flat": np.array([-1], np.int64),
        "rows": np.array([LENGTH, -1], np.int64),
        "most": np.array([MOST], np.int64),
        "side": np.array(SIZE, np.int64),
        "nothing": np.array(0, np.float32),
        "tiny": np.array(1e-9, np.float32),
        "last": np.array([1], np.int64),
    }
    node = helper.make_node
    nodes = [
        node("Conv", ["image", "edge"], ["edges"], pads=[1, 1, 1, 1]),
        node("Abs", ["edges"], ["strength"]),
        node("MaxPool", ["strength"], ["highest"], kernel_shape=[5, 5], pads=[2, 2, 2, 2]),
        node("Equal", ["strength", "highest"], ["peak"]),
        node("Where", ["peak", "strength", "nothing"], ["peaks"]),
        node("Mul", ["peaks", "border"], ["inside"]),
        node("Reshape", ["inside", "flat"], ["all"]),
        node("TopK", ["all", "most"], ["scores", "places"]),
        node("Mod", ["places", "side"], ["x"]),
        node("Div", ["places", "side"], ["y"]),
        node("Unsqueeze", ["x", "last"], ["column_x"]),
        node("Unsqueeze", ["y", "last"], ["column_y"]),
        node("Concat", ["column_x", "column_y"], ["whole"], axis=1),
        node("Cast", ["whole"], ["points"], to=TensorProto.FLOAT),
        node("Conv", ["image", "filters"], ["said"], pads=[REACH // 2] * 4),
        node("Reshape", ["said", "rows"], ["by_place"]),
        node("Gather", ["by_place", "places"], ["chosen"], axis=1),
        node("Transpose", ["chosen"], ["raw"], perm=[1, 0]),
        node("ReduceL2", ["raw", "last"], ["length"], keepdims=1),
        node("Add", ["length", "tiny"], ["divisor"]),
        node("Div", ["raw", "divisor"], ["descriptors"]),
    ]
    inputs = [
        helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIZE, SIZE]),
        helper.make_tensor_value_info("extent", TensorProto.INT64, [2]),
    ]
    outputs = [
        helper.make_tensor_value_info("points", TensorProto.FLOAT, [MOST, 2]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [MOST]),
        helper.make_tensor_value_info("descriptors", TensorProto.FLOAT, [MOST, LENGTH]),
    ]
    graph_file(path, nodes, inputs, outputs, constants)


def write_matcher(path: Path) -> None:
    """The most alike, as sure as they are alike; where they lie is not looked at."""
    node = helper.make_node
    nodes = [
        node("Transpose", ["descriptors1"], ["turned"], perm=[0, 2, 1]),
        node("MatMul", ["descriptors0", "turned"], ["cosines"]),
        node("Squeeze", ["cosines", "first"], ["table"]),
        node("ArgMax", ["table"], ["partners"], axis=1, keepdims=0),
        node("ReduceMax", ["table", "across"], ["confidences"], keepdims=0),
        node("Identity", ["points0"], ["unused0"]),
        node("Identity", ["points1"], ["unused1"]),
    ]
    inputs = [
        helper.make_tensor_value_info(f"{name}{which}", TensorProto.FLOAT, [1, f"n{which}", width])
        for which in (0, 1)
        for name, width in (("points", 2), ("descriptors", LENGTH))
    ]
    outputs = [
        helper.make_tensor_value_info("partners", TensorProto.INT64, ["n0"]),
        helper.make_tensor_value_info("confidences", TensorProto.FLOAT, ["n0"]),
    ]
    graph_file(path, nodes, inputs, outputs, {"first": np.array([0], np.int64), "across": np.array([1], np.int64)})


def write_describer(path: Path) -> None:
    """Patches as random projections of what is in their middle."""
    projection = np.random.default_rng(1).normal(size=(32 * 32, LENGTH)).astype(np.float32)
    constants = {
        "projection": projection,
        "flat": np.array([-1, 1024], np.int64),
        "last": np.array([1], np.int64),
        "tiny": np.array(1e-6, np.float32),
    }
    node = helper.make_node
    nodes = [
        node("Reshape", ["patches", "flat"], ["rows"]),
        node("ReduceMean", ["rows", "last"], ["mean"], keepdims=1),
        node("Sub", ["rows", "mean"], ["centred"]),
        node("MatMul", ["centred", "projection"], ["raw"]),
        node("ReduceL2", ["raw", "last"], ["length"], keepdims=1),
        node("Add", ["length", "tiny"], ["divisor"]),
        node("Div", ["raw", "divisor"], ["descriptors"]),
    ]
    inputs = [helper.make_tensor_value_info("patches", TensorProto.FLOAT, ["n", 1, 32, 32])]
    outputs = [helper.make_tensor_value_info("descriptors", TensorProto.FLOAT, ["n", LENGTH])]
    graph_file(path, nodes, inputs, outputs, constants)


def write_manifest(folder: Path, method: str, **changes: Any) -> LearnedManifest:
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.onnx"))}
    fields: dict[str, Any] = {
        "method": method,
        "extractor": method.partition("-")[0],
        "takes": "photo",
        "size": SIZE,
        "most": MOST,
        "descriptor_length": LENGTH,
        "steps": 127.0,
        "threshold": 0.01,
        "ratio": 0.9,
        "license": "Apache-2.0",
        "files": files,
        **changes,
    }
    manifest = LearnedManifest(**fields)
    (folder / MANIFEST).write_text(manifest.model_dump_json(), encoding="utf-8")
    return manifest


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A folder of three methods: `xfeat`, `xfeat-lightglue` with the same extractor, and `hardnet`."""
    for name in ("xfeat", "xfeat-lightglue", "hardnet"):
        (tmp_path / name).mkdir()
    write_extractor(tmp_path / "xfeat" / EXTRACTOR)
    write_extractor(tmp_path / "xfeat-lightglue" / EXTRACTOR)
    write_matcher(tmp_path / "xfeat-lightglue" / MATCHER)
    write_describer(tmp_path / "hardnet" / EXTRACTOR)
    write_manifest(tmp_path / "xfeat", "xfeat")
    write_manifest(tmp_path / "xfeat-lightglue", "xfeat-lightglue", confidence=0.95)
    write_manifest(tmp_path / "hardnet", "hardnet", takes="patches", size=320, threshold=0.0)
    return tmp_path
