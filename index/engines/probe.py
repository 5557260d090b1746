"""How far a search must look to find what exact search finds: measured on held-out queries, and kept in the spec."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from index.engines.errors import InvalidEngineSpec
from index.engines.milvus import MilvusIndex
from index.engines.protocol import Numbers, Vectors
from index.engines.spec import EngineSpec, HnswSpec, IvfSpec, MilvusSpec
from index.engines.spec_text import spec_text
from index.engines.trained import TrainedIndex

__all__ = ["effort_of", "least_effort", "recall"]

_ROOMIEST = {"probes": 1 << 16, "ef": 1 << 15}
"""As far as every engine goes."""

_Index = TypeVar("_Index", TrainedIndex, MilvusIndex)


def effort_of(spec: EngineSpec) -> str | None:
    """The field that says how far a search looks; None for an engine without one."""
    match spec:
        case IvfSpec():
            return "probes"
        case HnswSpec():
            return "ef"
        case MilvusSpec():
            return spec.effort
    return None


def recall(found: Numbers, truth: Numbers) -> float:
    """Mean share of the numbers in each row of `truth` (q, k) that the row of `found` (q, k) has too, 0..1."""
    hits = sum(len(np.intersect1d(row, true)) for row, true in zip(found, truth, strict=True))
    return hits / truth.size if truth.size else 1.0


def least_effort(index: _Index, queries: Vectors, *, floor: float = 0.99, k: int = 10) -> _Index:
    """The same index with the fewest probes, or the least ef, that reach a recall; those without come back as they are.

    Args:
        queries: (q, d) held out: not of the index, and like those to come.
        floor: of recall@k against exact search over the kept vectors, 0..1.

    Raises:
        InvalidEngineSpec: not reached however far the search looks.
    """
    name = effort_of(index.spec)
    if name is None:
        return index
    k = min(k, len(index))
    truth = index.exact(queries, k)[1]

    def reached(effort: int) -> float:
        return recall(index.searching_as(_with(index.spec, name, effort)).search(queries, k)[1], truth)

    most = 1
    while (best := reached(most)) < floor:
        if most >= min(len(index), _ROOMIEST[name]):
            raise InvalidEngineSpec(
                f"{spec_text(index.spec)} reaches recall@{k} {best:.3f} however far it looks, {floor} is asked for; "
                "refine, a larger pq, or float16 would find more",
                recall=best,
            )
        most *= 2
    least = most // 2  # not enough, or 0
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if reached(middle) >= floor else (middle, most)
    return index.searching_as(_with(index.spec, name, most))


def _with(spec: EngineSpec, name: str, effort: int) -> Any:
    return spec.model_copy(update={name: effort})
