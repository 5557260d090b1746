"""PyTorch -> ONNX, checked against PyTorch on the way."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from scipy.special import softmax
from torch import nn

from embedding.errors import WhichoneError

__all__ = ["INPUT", "OUTPUT", "SCORES", "Parity", "ParityError", "check_parity", "export_graph", "run_graph", "strip",
           "store_weights_as_float16"]  # fmt: skip

INPUT, OUTPUT, SCORES = "image", "embedding", "scores"
_OPSET = 18
_AT_ONCE = 32


class ParityError(WhichoneError):
    """An exported model that does not compute what its source computes."""

    code = "export_differs"


@dataclass(frozen=True, slots=True)
class Parity:
    """How near an ONNX model is to the PyTorch model: over all photos, the largest difference in any value of an
    embedding, the smallest cosine, and the largest difference in any class's probability where there are scores."""

    max_abs_difference: float
    min_cosine: float
    max_probability_difference: float | None = None

    def as_json(self) -> dict[str, float]:
        """For a manifest."""
        figures = {"max_abs_difference": self.max_abs_difference, "min_cosine": self.min_cosine}
        if self.max_probability_difference is not None:
            figures["max_probability_difference"] = self.max_probability_difference
        return figures


def export_graph(
    model: nn.Module,
    path: Path,
    *,
    size: int | tuple[int, int],
    outputs: Sequence[str] = (OUTPUT,),
    any_size: bool = True,
) -> None:
    """Write `model` as ONNX with a dynamic batch and photo size.

    Args:
        model: in evaluation mode, (n, 3, h, w) -> (n, d), or a tuple of several outputs.
        path: the file to write.
        size: side of the example photo, or its height and width.
        outputs: names of what the model gives, in order.
        any_size: whether photos of other sizes work, too; otherwise those of the example's alone.
    """
    high, wide = (size, size) if isinstance(size, int) else size
    axes = {INPUT: {0: "n", 2: "h", 3: "w"} if any_size else {0: "n"}, **{name: {0: "n"} for name in outputs}}
    with warnings.catch_warnings():
        # The tracing exporter is called old, but the new one reasons for seven minutes about the symbolic paddings of
        # EfficientNet and leaves batch normalisations unfolded. That the traced graph takes other sizes is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        # The tracer names each size that it takes for a constant; whether one matters, `check_parity` tells.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        torch.onnx.export(
            model,
            (torch.zeros(2, 3, high, wide),),
            str(path),
            input_names=[INPUT],
            output_names=list(outputs),
            opset_version=_OPSET,
            dynamo=False,
            dynamic_axes=axes,
        )
    exported = onnx.load(path)
    strip(exported)
    onnx.checker.check_model(exported)
    path.write_bytes(exported.SerializeToString(deterministic=True))


def strip(exported: onnx.ModelProto) -> None:
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


def run_graph(path: Path, photos: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Every output of an ONNX file by name, of preprocessed photos (n, 3, h, w)."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    rows = [session.run(names, {INPUT: photos[at : at + _AT_ONCE]}) for at in range(0, len(photos), _AT_ONCE)]
    return {name: np.concatenate(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def check_parity(
    model: nn.Module, path: Path, photos: NDArray[np.float32], *, min_cosine: float, max_abs_difference: float
) -> Parity:
    """Compare an ONNX file with its source on preprocessed `photos` (n, 3, h, w).

    The largest difference allowed holds for embeddings and for class probabilities alike.

    Raises:
        ParityError: further apart than allowed.
    """
    with torch.inference_mode():
        given = model(torch.from_numpy(photos))
    expected = [output.numpy() for output in (given if isinstance(given, tuple) else (given,))]
    got = run_graph(path, photos)
    embeddings = got[OUTPUT]
    parity = Parity(
        float(np.abs(embeddings - expected[0]).max()),
        float(np.einsum("nd,nd->n", embeddings, expected[0], dtype=np.float64).min()),
        _probability_difference(got[SCORES], expected[1]) if SCORES in got else None,
    )
    largest = float(np.max([parity.max_abs_difference, parity.max_probability_difference or 0.0]))
    # Written so that NaN fails as well.
    if not (parity.min_cosine >= min_cosine and largest <= max_abs_difference):
        raise ParityError(
            f"{path.name}: smallest cosine {parity.min_cosine:.6f} (allowed {min_cosine}), largest difference "
            f"{largest:.2e} (allowed {max_abs_difference:.0e})",
            **parity.as_json(),
        )
    return parity


def _probability_difference(got: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    return float(np.abs(softmax(got, axis=1) - softmax(expected, axis=1)).max())
