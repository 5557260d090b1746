"""The short form of an engine's specification: `flat`, `ivf,sq8,lists=1024,probes=8`, `hnsw,m=32,ef=64`.

First the kind, then bare words for how vectors are stored or spread, then `name=value`. `refine` alone takes the factor
that goes with what is refined.
"""

from __future__ import annotations

from typing import Any, get_args

from index.engines.errors import InvalidEngineSpec
from index.engines.spec import EngineSpec, FlatSpec, GpuSpec, HnswSpec, IvfSpec, MilvusSpec, spec_from_json

__all__ = ["parse_spec", "spec_text"]

_MODELS: dict[str, type[FlatSpec | IvfSpec | HnswSpec | GpuSpec | MilvusSpec]] = {
    "flat": FlatSpec,
    "ivf": IvfSpec,
    "hnsw": HnswSpec,
    "gpu": GpuSpec,
    "milvus": MilvusSpec,
}
_BARE = ("storage", "method", "spread")
"""Fields whose values are written without their name."""

_REFINE_CODES, _REFINE_VALUES = 16, 2
"""Factors of a bare `refine`: codes of a few bits need a longer look than whole bytes (figures in docs/adr/0005)."""


def parse_spec(text: str) -> EngineSpec:
    """A specification from its short form.

    Raises:
        InvalidEngineSpec: naming what is not understood and what would be.
    """
    kind, *parts = [part.strip() for part in text.split(",")]
    if kind not in _MODELS:
        raise InvalidEngineSpec(f"engine {text!r}: kind {kind!r} is unknown; there are {', '.join(_MODELS)}")
    body: dict[str, Any] = {"kind": kind}
    for part in parts:
        name, value = _field(kind, part)
        if name in body:
            raise InvalidEngineSpec(f"engine {text!r}: {name} is given twice")
        body[name] = value
    if body.get("refine") is True:
        coded = "pq" in body or body.get("method") == "ivfpq"
        body["refine"] = _REFINE_CODES if coded else _REFINE_VALUES
    return spec_from_json(body)


def spec_text(spec: EngineSpec) -> str:
    """The short form of a specification; `parse_spec` gives the same back."""
    parts: list[str] = [spec.kind]
    for name, field in type(spec).model_fields.items():
        value = getattr(spec, name)
        if name == "kind" or value == field.default:
            continue
        if name == "devices":
            value = "+".join(map(str, value))
        parts.append(str(value) if name in _BARE else f"{name}={value}")
    return ",".join(parts)


def _field(kind: str, part: str) -> tuple[str, Any]:
    """Which field a part of the text is about, and its value."""
    words = _words(kind)
    name, equals, value = (side.strip() for side in part.partition("="))
    if not equals:
        refine = ["refine"] if "refine" in _MODELS[kind].model_fields else []
        if name in refine:
            return "refine", True
        if name in words:
            return words[name], name
        raise InvalidEngineSpec(
            f"{kind}: {part!r} is not understood; words: {', '.join([*words, *refine])}; "
            f"and NAME=VALUE for {', '.join(_named(kind))}"
        )
    if name not in _named(kind):
        raise InvalidEngineSpec(f"{kind} has no {name!r}; it has {', '.join(_named(kind))}")
    if name == "keep":
        return name, value
    if name == "devices":
        return name, tuple(_whole(kind, name, device) for device in value.split("+"))
    return name, _whole(kind, name, value)


def _words(kind: str) -> dict[str, str]:
    """Bare words of a kind, and their fields."""
    fields = _MODELS[kind].model_fields
    return {word: name for name in _BARE if name in fields for word in get_args(fields[name].annotation)}


def _named(kind: str) -> list[str]:
    return [name for name in _MODELS[kind].model_fields if name != "kind" and name not in _BARE]


def _whole(kind: str, name: str, value: str) -> int:
    if not value.isdecimal():
        raise InvalidEngineSpec(f"{kind}: {name}: got {value!r}, expected a whole number")
    return int(value)
