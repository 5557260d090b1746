"""The vectors of a generation: built by the engine that was asked for, its effort tuned to a recall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from index.advice import SAMPLE, Wish, advise
from index.engines import (
    EngineSpec,
    FlatSpec,
    ItemFields,
    MilvusIndex,
    TrainedIndex,
    VectorIndex,
    build,
    effort_of,
    least_effort,
    parse_spec,
    recall,
)
from index.engines.protocol import BLOCK, Blocks
from index.recognizer import Recognizer

__all__ = ["AUTO", "RECALL_FLOOR", "Built", "build_vectors", "likely_queries"]

_Tunable = TypeVar("_Tunable", TrainedIndex, MilvusIndex)

AUTO = "auto"
"""In place of an engine: whichever the advisor would take, asked anew for each generation."""

RECALL_FLOOR = 0.99
"""Recall@10 that an engine's effort is tuned to, where its specification does not name the effort itself."""

_K = 10
_SMALL = 10_000
"""Photos that exact search goes through in two or three milliseconds: nothing to measure."""

_QUERIES = 256


@dataclass(frozen=True, slots=True)
class Built:
    """Attributes:
    index: to be saved.
    recall: recall@10 on `likely_queries`; None for an exact engine.
    """

    index: VectorIndex
    recall: float | None


def build_vectors(recognizer: Recognizer, asked: str) -> Built:
    """A gallery's vectors in the engine that a short text asks for; `auto` takes the advisor's (`index.advice`).

    `probes` or `ef` in the text are taken as they are; else the least is taken that reaches `RECALL_FLOOR`.

    Raises:
        InvalidEngineSpec: the text is not understood, or the engine cannot reach the recall however far it looks.
        DeviceUnavailable: a GPU is asked for and there is none.
        EngineUnavailable: a server is asked for and does not answer.
    """
    spec = parse_spec(_advised(recognizer) if asked == AUTO else asked)
    if isinstance(spec, FlatSpec) and spec == recognizer.index.spec:
        return Built(recognizer.index, None)
    index = build(spec, recognizer.dim, _blocks(recognizer.index), describe=lambda *rows: _fields(recognizer, *rows))
    if isinstance(index, TrainedIndex) and len(index):
        return _tuned(index, likely_queries(recognizer))
    if isinstance(index, MilvusIndex) and len(index) and index.spec.method != "flat":
        try:
            return _tuned(index, likely_queries(recognizer))
        except BaseException:
            index.drop()
            raise
    return Built(index, None)


def _tuned(index: _Tunable, queries: NDArray[np.float32]) -> Built:
    if effort_of(index.spec) is not None and not _names_effort(index.spec):
        index = least_effort(index, queries, floor=RECALL_FLOOR, k=_K)
    k = min(_K, len(index))
    return Built(index, recall(index.search(queries, k)[1], index.exact(queries, k)[1]))


def _fields(recognizer: Recognizer, numbers: NDArray[np.int64], vectors: NDArray[np.float32]) -> ItemFields:
    table = recognizer.table
    return ItemFields(
        ids=[table.id(number) for number in numbers.tolist()],
        labels=[table.label(number) for number in numbers.tolist()],
        penalties=np.asarray(recognizer.distractors.penalties(vectors), np.float32),
    )


def _advised(recognizer: Recognizer) -> str:
    numbers = recognizer.index.numbers()
    if len(numbers) <= _SMALL:
        return "flat"
    sample = np.random.default_rng(0).permutation(numbers)[:SAMPLE]
    return advise(recognizer.index.reconstruct(sample), Wish(len(numbers), recall=RECALL_FLOOR)).chosen.engine


def likely_queries(
    recognizer: Recognizer, most: int = _QUERIES, *, among: TrainedIndex | MilvusIndex | None = None
) -> NDArray[np.float32]:
    """Vectors like those of photos to come: midway between two photos of a label, or a photo and its nearest other.

    They are not in the index themselves, which a graph would find by its own door.

    Args:
        most: how many, at most.
        among: tells exactly which photo is the nearest other, where the gallery's own index may not find it.

    Returns:
        (q, d) unit rows, the same every time; at least one photo must be there.
    """
    random = np.random.default_rng(0)
    numbers = recognizer.index.numbers()
    chosen = np.sort(random.choice(numbers, min(most, len(numbers)), replace=False))
    photos = recognizer.index.reconstruct(chosen)
    search = recognizer.index.search if among is None else among.exact
    _, nearest = search(photos, min(2, len(numbers)))
    others = np.array(
        [_other(recognizer, int(number), near) for number, near in zip(chosen, nearest, strict=True)], np.int64
    )
    middle = photos + recognizer.index.reconstruct(others)
    lengths = np.linalg.norm(middle, axis=1, keepdims=True)
    return np.asarray(np.where(lengths > 0, middle / np.maximum(lengths, 1e-12), photos), np.float32)


def _other(recognizer: Recognizer, number: int, nearest: NDArray[np.int64]) -> int:
    siblings = recognizer.table.of_label(recognizer.table.label(number))
    at = int(np.searchsorted(siblings, number))
    return int(siblings[(at + 1) % len(siblings)]) if len(siblings) > 1 else int(nearest[-1])


def _names_effort(spec: EngineSpec) -> bool:
    return bool({"probes", "ef"} & spec.model_fields_set)


def _blocks(index: VectorIndex) -> Blocks:
    numbers = index.numbers()
    for start in range(0, len(numbers), BLOCK):
        part = numbers[start : start + BLOCK]
        yield part, index.reconstruct(part)
