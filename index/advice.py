"""Which engine suits a gallery of some size: measured on vectors of the gallery itself, and carried on to that size.

Each engine is built at two sizes and tuned to the recall. Its time a query is taken to be a constant and so much for
each vector that it looks at; how many those are follows from how it works (all; the lists probed; ef times the
logarithm of the size), and how far the effort grows from how it grew between the two sizes. What comes out is an
estimate; `whichone index build` tunes and measures at the real size.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from index.engines import (
    EngineSpec,
    FlatSpec,
    HnswSpec,
    InvalidEngineSpec,
    IvfSpec,
    TrainedIndex,
    VectorIndex,
    build,
    least_effort,
    parse_spec,
    spec_text,
)
from index.errors import GalleryError

__all__ = ["CANDIDATES", "Advice", "SAMPLE", "Expected", "NothingToMeasure", "Wish", "advise"]

Vectors = NDArray[np.float32]
Progress = Callable[[str, int, int], None]

CANDIDATES = ("flat", "flat,float16", "ivf", "ivf,float16", "ivf,sq8,refine", "ivf,pq=64,refine", "hnsw,sq8,refine")

_SIZES = (5_000, 20_000)
_QUERIES = 200
SAMPLE = _SIZES[-1] + _QUERIES
"""Vectors that `advise` can use."""

_K = 10
_TILE_COSINE = 0.9
_QUICK_MS = 5.0
"""Exact search is taken up to this, where nobody wished for another time: it needs no tuning and no rebuilding."""


class NothingToMeasure(GalleryError):
    """A gallery is too small to say anything."""

    code = "nothing_to_measure"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted.

    Attributes:
        items: photos that there will be.
        memory_bytes: for what searches go through; None for any.
        p95_ms: of a single search; None for any.
        recall: recall@10 against exact search.
    """

    items: int
    memory_bytes: int | None = None
    p95_ms: float | None = None
    recall: float = 0.99


@dataclass(frozen=True, slots=True)
class Expected:
    """An engine at the wished size.

    Attributes:
        engine: to give to `whichone index build --engine`.
        parameters: as tuned at the larger size that was measured.
        p95_ms: of a single search.
        memory_bytes: that searches go through.
        kept_bytes: beside it, on the disk or in memory.
        build_s: seconds to build, at the pace of the larger measurement.
        exact: whether it finds what exact search finds.
        misses: which wishes it does not meet, in words.
    """

    engine: str
    parameters: str
    p95_ms: float
    memory_bytes: int
    kept_bytes: int
    build_s: float
    exact: bool
    misses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Advice:
    """Attributes:
    wish: what was wanted.
    chosen: the engine to take; where none meets every wish, the one that misses least.
    others: the rest.
    measured_on: vectors of the larger measurement.
    own: how many of them are the gallery's own; the others are those with noise.
    failed: engines that cannot reach the recall, and why.
    """

    wish: Wish
    chosen: Expected
    others: tuple[Expected, ...]
    measured_on: int
    own: int
    failed: tuple[tuple[str, str], ...] = ()


def advise(vectors: Vectors, wish: Wish, *, candidates: Sequence[str] = (), progress: Progress | None = None) -> Advice:
    """Measure engines and choose one.

    Args:
        vectors: (n, d) unit vectors of the gallery, in chance order; at most `SAMPLE` are used.
        wish: what is wanted.
        candidates: short forms; without any, `CANDIDATES` and a graph along the leading half of the directions.
        progress: told the engine, how many are done, and how many there are.

    Raises:
        NothingToMeasure: fewer than two vectors.
        InvalidEngineSpec: no candidate reaches the recall.
    """
    if len(vectors) < 2:
        raise NothingToMeasure(
            f"the gallery has {len(vectors)} photo(s); add some of those that it will hold, a hundred or more"
        )
    sample = _sample(vectors, SAMPLE)
    queries, rest = sample[:_QUERIES], sample[_QUERIES:]
    candidates = candidates or (*CANDIDATES, f"hnsw,pca={max(vectors.shape[1] // 2, 1)},sq8,refine")
    expected: list[Expected] = []
    failed: list[tuple[str, str]] = []
    for done, engine in enumerate(candidates):
        if progress:
            progress(engine, done, len(candidates))
        try:
            expected.append(_expected(engine, [_measure(engine, rest[:size], queries, wish) for size in _SIZES], wish))
        except InvalidEngineSpec as error:
            failed.append((engine, error.message))
    if not expected:
        raise InvalidEngineSpec("; ".join(why for _, why in failed))
    chosen = _best(expected, wish)
    others = tuple(one for one in expected if one is not chosen)
    return Advice(wish, chosen, others, len(rest), min(len(vectors), len(rest)), tuple(failed))


@dataclass(frozen=True, slots=True)
class _Measured:
    items: int
    spec: EngineSpec
    p95_ms: float
    memory_bytes: int
    kept_bytes: int
    build_s: float


def _measure(engine: str, vectors: Vectors, queries: Vectors, wish: Wish) -> _Measured:
    spec = parse_spec(engine)
    started = time.perf_counter()
    index: VectorIndex = build(spec, vectors.shape[1], [(np.arange(len(vectors)), vectors)])
    build_s = time.perf_counter() - started
    if isinstance(index, TrainedIndex) and not isinstance(spec, FlatSpec):
        index = least_effort(index, queries, floor=wish.recall, k=_K)
    took = []
    for query in queries:
        started = time.perf_counter()
        index.search(query[None], _K)
        took.append((time.perf_counter() - started) * 1000)
    stats = index.stats()
    return _Measured(
        len(vectors), index.spec, float(np.quantile(took, 0.95)), stats.memory_bytes, stats.kept_bytes, build_s
    )


def _expected(engine: str, measured: Sequence[_Measured], wish: Wish) -> Expected:
    small, large = measured
    growth = wish.items / large.items
    exponent = math.log(max(_effort(large), 1) / max(_effort(small), 1)) / math.log(large.items / small.items)
    effort = _effort(large) * growth ** max(exponent, 0.0)
    looked = [_looked_at(one.spec, one.items, _effort(one)) for one in measured]
    p95 = _line(looked, [small.p95_ms, large.p95_ms], _looked_at(large.spec, wish.items, effort))
    memory, kept = round(large.memory_bytes * growth), round(large.kept_bytes * growth)
    # Graphs take a logarithm longer for each vector; lists as many times longer as there are more of them.
    slower = math.sqrt(max(growth, 1)) if isinstance(large.spec, IvfSpec) else 1.0
    one = Expected(
        engine=engine,
        parameters=spec_text(large.spec),
        p95_ms=p95,
        memory_bytes=memory,
        kept_bytes=kept,
        build_s=large.build_s * growth * slower,
        exact=isinstance(large.spec, FlatSpec) and large.spec.storage == "float32",
    )
    return replace(one, misses=tuple(_misses(one, wish)))


def _misses(one: Expected, wish: Wish) -> list[str]:
    misses = []
    if wish.memory_bytes is not None and one.memory_bytes > wish.memory_bytes:
        misses.append(f"{one.memory_bytes / wish.memory_bytes:.1f} times the memory")
    if wish.p95_ms is not None and one.p95_ms > wish.p95_ms:
        misses.append(f"{one.p95_ms / wish.p95_ms:.1f} times the time")
    return misses


def _best(expected: Sequence[Expected], wish: Wish) -> Expected:
    """Exact search where it is quick enough; else the quickest that meets every wish; else what misses least."""
    fitting = [one for one in expected if not one.misses]
    if not fitting:
        return min(expected, key=lambda one: _excess(one, wish))
    limit = _QUICK_MS if wish.p95_ms is None else wish.p95_ms
    exact = [one for one in fitting if one.exact and one.p95_ms <= limit]
    return exact[0] if exact else min(fitting, key=lambda one: one.p95_ms)


def _excess(one: Expected, wish: Wish) -> float:
    memory = one.memory_bytes / wish.memory_bytes if wish.memory_bytes else 0.0
    duration = one.p95_ms / wish.p95_ms if wish.p95_ms else 0.0
    return max(memory, 1.0) * max(duration, 1.0)


def _effort(measured: _Measured) -> float:
    match measured.spec:
        case IvfSpec(probes=probes):
            return probes
        case HnswSpec(ef=ef):
            return ef
    return 1.0


def _looked_at(spec: EngineSpec, items: int, effort: float) -> float:
    """Vectors that a search compares with."""
    if isinstance(spec, IvfSpec):
        lists = spec.model_copy(update={"lists": None}).lists_for(items)
        return lists + min(effort / lists, 1.0) * items
    if isinstance(spec, HnswSpec):
        return effort * math.log2(max(items, 2)) * 2 * spec.m / 4
    return items


def _line(looked: Sequence[float], took: Sequence[float], at: float) -> float:
    """A constant and a rate through two points, neither below nought."""
    rate = max((took[1] - took[0]) / max(looked[1] - looked[0], 1e-9), 0.0)
    constant = max(took[1] - rate * looked[1], 0.0)
    if rate == 0.0:
        rate = took[1] / looked[1]
        constant = 0.0
    return constant + rate * at


def _sample(vectors: Vectors, size: int) -> Vectors:
    """Up to `size` of the vectors; where they are fewer, those again with noise, each at a cosine of .9 to its own."""
    if len(vectors) >= size:
        return vectors[:size]
    random = np.random.default_rng((8, 15))  # not what a caller would draw vectors by
    own = vectors[np.arange(size - len(vectors)) % len(vectors)]
    noise = random.standard_normal(own.shape).astype(np.float32)
    noise -= (noise * own).sum(axis=1, keepdims=True) * own
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    again = _TILE_COSINE * own + math.sqrt(1 - _TILE_COSINE**2) * noise
    whole = np.concatenate([vectors, again.astype(np.float32)])
    return whole[random.permutation(size)]
