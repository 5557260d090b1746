"""A map appended to a bundle's ONNX graph: the embedding goes through it and is brought back to unit length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from training.adapt.trial import Map
from training.export.onnx_graph import OUTPUT

__all__ = ["append_map"]

BEFORE, WEIGHT = "embedding_before_adaptation", "adaptation.weight"
_LEAST_LENGTH = 1e-12


def append_map(source: Path, target: Path, map_: Map) -> None:
    """Write `source` with its output `embedding` (n, d) replaced by the unit rows of embedding @ map.T.

    The map is a 1x1 convolution, which runtimes compute photo by photo, so that a photo's embedding does not depend, in
    its last digits, on what else is in the batch. A graph that was adapted before is adapted once more.

    Args:
        source: ONNX file.
        target: the file to write.
        map_: (d, d).
    """
    model = onnx.load(source)
    graph = model.graph
    times = sum(tensor.name.startswith(WEIGHT) for tensor in graph.initializer)
    before, weight = f"{BEFORE}.{times}", f"{WEIGHT}.{times}"
    for node in graph.node:
        for names in (node.input, node.output):
            for at, name in enumerate(names):
                if name == OUTPUT:
                    names[at] = before
    values = np.ascontiguousarray(map_, dtype=np.float32)[:, :, None, None]
    opset = next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx"))
    graph.initializer.extend(
        [
            numpy_helper.from_array(values, weight),
            numpy_helper.from_array(np.array([0, -1, 1, 1], np.int64), f"{weight}.shape"),
            numpy_helper.from_array(np.array([1], np.int64), f"{weight}.row"),
            numpy_helper.from_array(np.array(_LEAST_LENGTH, np.float32), f"{weight}.least"),
        ]
    )
    graph.node.extend(_nodes(before, weight, opset))
    onnx.checker.check_model(model)
    target.write_bytes(model.SerializeToString(deterministic=True))


def _nodes(before: str, weight: str, opset: int) -> list[onnx.NodeProto]:
    """Reshape -> 1x1 convolution -> flatten -> divide by the row's length."""
    wide, moved, rows, length, safe = (f"{weight}.{name}" for name in ("wide", "moved", "rows", "length", "safe"))
    # LpNormalization would be one node for the last three, but ONNX Runtime has it on the CPU alone.
    reduce = (
        helper.make_node("ReduceL2", [rows, f"{weight}.row"], [length], keepdims=1)
        if opset >= 18
        else helper.make_node("ReduceL2", [rows], [length], axes=[1], keepdims=1)
    )
    return [
        helper.make_node("Reshape", [before, f"{weight}.shape"], [wide]),
        helper.make_node("Conv", [wide, weight], [moved], kernel_shape=[1, 1]),
        helper.make_node("Flatten", [moved], [rows], axis=1),
        reduce,
        helper.make_node("Max", [length, f"{weight}.least"], [safe]),
        helper.make_node("Div", [rows, safe], [OUTPUT]),
    ]
