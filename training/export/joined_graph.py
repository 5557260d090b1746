"""Several ONNX graphs as one: one photo in, the members' weighted embeddings side by side out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, compose, helper, numpy_helper, version_converter

from training.errors import TrainingError
from training.export.joined_input import Front
from training.export.onnx_graph import INPUT, OUTPUT, SCORES

__all__ = ["GraphsDoNotJoin", "Member", "join_graphs"]

OPSET = 18
"""The first whose Resize averages what it scales down."""

_LEAST_LENGTH = 1e-12


class GraphsDoNotJoin(TrainingError):
    """A model's graph cannot be part of another."""

    code = "graphs_do_not_join"


@dataclass(frozen=True)
class Member:
    """A graph that is to be part of another.

    Attributes:
        model: its input `image`, its output `embedding` (n, dim), and `scores` where they are wanted.
        front: what makes its input of the joined one.
        dim: of its embedding.
        share: of its cosine in the joined one; those of all members sum to 1.
        temperature: what its scores are divided by.
    """

    model: onnx.ModelProto
    front: Front
    dim: int
    share: float
    temperature: float = 1.0


class _Parts:
    """Nodes and constants of a graph that is being made."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, name: str, values: NDArray[np.float32] | NDArray[np.int64]) -> str:
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output


def join_graphs(members: Sequence[Member], *, size: tuple[int, int] | None, with_scores: bool) -> onnx.ModelProto:
    """One graph of several.

    Its `embedding` holds the members' unit embeddings one after the other, each times the root of its share, so that a
    cosine is the weighted mean of the members' cosines. Its `scores` are the logarithm of the mean of the members'
    probabilities, so their softmax is that mean.

    Args:
        members: two or more.
        size: height and width of the photos in pixels; None: any that the members take.
        with_scores: whether it gives class scores; then every member does, of the same classes.

    Raises:
        GraphsDoNotJoin: a graph is of an operator set that cannot be brought to the others', or its ends are others.
    """
    opset = max(OPSET, *(_opset(member.model) for member in members))
    parts, opsets = _Parts(), {"": opset}
    functions: list[onnx.FunctionProto] = []
    names = [f"member{at}/" for at in range(len(members))]
    for name, member in zip(names, members, strict=True):
        model = _prefixed(member.model, name, opset)
        parts.nodes += _front(parts, member.front, name)
        parts.nodes += model.graph.node
        parts.constants += model.graph.initializer
        functions += model.functions
        opsets |= {one.domain: one.version for one in model.opset_import if one.domain not in ("", "ai.onnx")}
    _embedding(parts, names, members)
    if with_scores:
        _scores(parts, names, members)
    joined = helper.make_model(
        helper.make_graph(parts.nodes, "joined", [_input(size)], _outputs(members, with_scores), parts.constants),
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in opsets.items()],
        ir_version=max(member.model.ir_version for member in members),
        functions=functions,
        producer_name="whichone",
    )
    onnx.checker.check_model(joined)
    return joined


def _opset(model: onnx.ModelProto) -> int:
    return int(next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx")))


def _prefixed(model: onnx.ModelProto, name: str, opset: int) -> onnx.ModelProto:
    given = {one.name for one in model.graph.input} - {one.name for one in model.graph.initializer}
    if given != {INPUT} or model.graph.sparse_initializer:
        raise GraphsDoNotJoin(f"A model takes {sorted(given)} where it should take {INPUT!r} alone; export it again.")
    if _opset(model) != opset:
        try:
            model = version_converter.convert_version(model, opset)
        except RuntimeError as error:
            raise GraphsDoNotJoin(
                f"A model of operator set {_opset(model)} cannot be brought to {opset} ({str(error).splitlines()[0]}); "
                "export it again with this version."
            ) from error
    prefixed: onnx.ModelProto = compose.add_prefix(model, name)
    return prefixed


def _front(parts: _Parts, front: Front, name: str) -> Iterator[NodeProto]:
    """Cut, scale, other numbers; whatever is not needed is left out."""
    made, here = _Parts(), INPUT
    if front.cuts:
        ends = [
            made.constant(f"{name}cut.{end}", np.array([at, at], np.int64))
            for end, at in (("start", front.start), ("end", front.start + front.seen))
        ]
        axes = made.constant(f"{name}cut.axes", np.array([2, 3], np.int64))
        here = made.node("Slice", [here, *ends, axes], f"{name}cut")
    if front.scales:
        here = _scaled(made, front, name, here)
    if front.changes_numbers:
        here = made.node("Mul", [here, made.constant(f"{name}factor", _wide(front.factor))], f"{name}multiplied")
        here = made.node("Add", [here, made.constant(f"{name}shift", _wide(front.shift))], f"{name}shifted")
    made.node("Identity", [here], f"{name}{INPUT}")
    parts.constants += made.constants
    return iter(made.nodes)


def _scaled(made: _Parts, front: Front, name: str, here: str) -> str:
    """As Pillow scales: averaging over what a pixel covers, Keys' cubic with a = -1/2, nothing beyond the edge counted,
    nothing darker than black or lighter than full light left over."""
    sizes = made.constant(f"{name}sizes", np.array([front.side, front.side], np.int64))
    cubic = front.interpolation == "bicubic"
    here = made.node(
        "Resize",
        [here, "", "", sizes],
        f"{name}scaled",
        mode="cubic" if cubic else "linear",
        coordinate_transformation_mode="half_pixel",
        antialias=1,
        axes=[2, 3],
        exclude_outside=1,
        **({"cubic_coeff_a": -0.5} if cubic else {}),
    )
    if cubic:
        here = made.node("Max", [here, made.constant(f"{name}black", _wide(front.low))], f"{name}above")
        here = made.node("Min", [here, made.constant(f"{name}white", _wide(front.high))], f"{name}within")
    return here


def _wide(channels: tuple[float, float, float]) -> NDArray[np.float32]:
    return np.array(channels, np.float32)[None, :, None, None]


def _embedding(parts: _Parts, names: Sequence[str], members: Sequence[Member]) -> None:
    weighted = [
        parts.node(
            "Mul",
            [f"{name}{OUTPUT}", parts.constant(f"{name}weight", np.array(math.sqrt(member.share), np.float32))],
            f"{name}weighted",
        )
        for name, member in zip(names, members, strict=True)
    ]
    rows = parts.node("Concat", weighted, "joined.rows", axis=1)
    axis = parts.constant("joined.row", np.array([1], np.int64))
    length = parts.node("ReduceL2", [rows, axis], "joined.length", keepdims=1)
    least = parts.constant("joined.least", np.array(_LEAST_LENGTH, np.float32))
    parts.node("Div", [rows, parts.node("Max", [length, least], "joined.safe")], OUTPUT)


def _scores(parts: _Parts, names: Sequence[str], members: Sequence[Member]) -> None:
    """log(mean of softmax(scores / temperature)), summed where nothing is lost to underflow."""
    first = parts.constant("joined.first", np.array([0], np.int64))
    stacked = []
    for name, member in zip(names, members, strict=True):
        temperature = parts.constant(f"{name}temperature", np.array(member.temperature, np.float32))
        cooled = parts.node("Div", [f"{name}{SCORES}", temperature], f"{name}cooled")
        logs = parts.node("LogSoftmax", [cooled], f"{name}logs", axis=1)
        stacked.append(parts.node("Unsqueeze", [logs, first], f"{name}plane"))
    planes = parts.node("Concat", stacked, "joined.planes", axis=0)
    total = parts.node("ReduceLogSumExp", [planes, first], "joined.total", keepdims=0)
    many = parts.constant("joined.many", np.array(math.log(len(members)), np.float32))
    parts.node("Sub", [total, many], SCORES)


def _input(size: tuple[int, int] | None) -> onnx.ValueInfoProto:
    sizes: tuple[int | str, int | str] = ("h", "w") if size is None else size
    return helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", 3, *sizes])


def _outputs(members: Sequence[Member], with_scores: bool) -> list[onnx.ValueInfoProto]:
    width = sum(member.dim for member in members)
    outputs = [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", width])]
    if with_scores:
        outputs.append(helper.make_tensor_value_info(SCORES, TensorProto.FLOAT, ["n", "classes"]))
    return outputs
