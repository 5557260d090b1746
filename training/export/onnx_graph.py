"""PyTorch -> ONNX, checked against PyTorch on the way."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

__all__ = ["Parity", "ParityError", "check_parity", "export_graph", "store_weights_as_float16"]

INPUT, OUTPUT = "image", "embedding"
_OPSET = 18


class ParityError(RuntimeError):
    """An exported model that does not compute what its source computes."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How near an ONNX model is to the PyTorch model: over all photos, the largest difference in any value and the
    smallest cosine."""

    max_abs_difference: float
    min_cosine: float


def export_graph(model: nn.Module, path: Path, *, size: int) -> None:
    """Write `model` as ONNX with a dynamic batch and photo size.

    Args:
        model: in evaluation mode, (n, 3, h, w) -> (n, d).
        path: the file to write.
        size: side of the example photo; other sizes work too.
    """
    with warnings.catch_warnings():
        # The tracing exporter is called old, but the new one reasons for seven minutes about the symbolic paddings of
        # EfficientNet and leaves batch normalisations unfolded. That the traced graph takes other sizes is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            model,
            (torch.zeros(2, 3, size, size),),
            str(path),
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=_OPSET,
            dynamo=False,
            dynamic_axes={INPUT: {0: "n", 2: "h", 3: "w"}, OUTPUT: {0: "n"}},
        )
    exported = onnx.load(path)
    _strip(exported)
    onnx.checker.check_model(exported)
    path.write_bytes(exported.SerializeToString(deterministic=True))


def _strip(exported: onnx.ModelProto) -> None:
    """Leave out what tells of the machine of the export: stack traces, paths."""
    graph = exported.graph
    for part in (exported, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    del graph.value_info[:]


def store_weights_as_float16(source: Path, target: Path) -> None:
    """Halve a model's file: large weights are kept as float16 and cast back to float32 when it is loaded.

    It still computes in float32.
    """
    model = onnx.load(source)
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        values = numpy_helper.to_array(tensor)
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.float16"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.float16"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    target.write_bytes(model.SerializeToString(deterministic=True))


def check_parity(
    model: nn.Module, path: Path, photos: NDArray[np.float32], *, min_cosine: float, max_abs_difference: float
) -> Parity:
    """Compare an ONNX file with its source on preprocessed `photos` (n, 3, h, w).

    Raises:
        ParityError: further apart than allowed.
    """
    with torch.inference_mode():
        expected = model(torch.from_numpy(photos)).numpy()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    got = session.run([OUTPUT], {INPUT: photos})[0]
    parity = Parity(
        float(np.abs(got - expected).max()), float(np.einsum("nd,nd->n", got, expected, dtype=np.float64).min())
    )
    if parity.min_cosine < min_cosine or parity.max_abs_difference > max_abs_difference:
        raise ParityError(
            f"{path.name}: smallest cosine {parity.min_cosine:.6f} (allowed {min_cosine}), largest difference "
            f"{parity.max_abs_difference:.2e} (allowed {max_abs_difference:.0e})"
        )
    return parity
