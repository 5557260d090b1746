"""Vectors to search among, and what exact search in plain NumPy finds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from index.engines import EngineSpec, VectorIndex, build, parse_spec

Rows = dict[int, NDArray[np.float32]]

LOOKING_EVERYWHERE = (
    "flat",
    "flat,float16",
    "flat,sq8,refine=100,keep=float32",
    "ivf,probes=9999",
    "ivf,float16,probes=9999",
    "ivf,sq8,probes=9999,refine=100,keep=float32",
    "ivf,pq=2,probes=9999,refine=1000,keep=float32",
    "hnsw,float32,m=8,ef=999",
    "hnsw,sq8,m=8,ef=999,refine=100,keep=float32",
    "hnsw,pca=5,sq8,m=8,ef=999,refine=100,keep=float32",
    "ivf,pca=5,float32,probes=9999,refine=100,keep=float32",
)
"""Engines set so that they find what exact search finds."""


def unit_vectors(n: int, dim: int, seed: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((n, dim))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def in_blocks(rows: Rows, size: int = 7) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    numbers = sorted(rows)
    for start in range(0, len(numbers), size):
        part = numbers[start : start + size]
        yield np.array(part, np.int64), np.stack([rows[number] for number in part])


def built(spec: str | EngineSpec, rows: Rows, dim: int) -> VectorIndex:
    return build(parse_spec(spec) if isinstance(spec, str) else spec, dim, in_blocks(rows))


def clustered(n: int, dim: int, seed: int) -> NDArray[np.float32]:
    """Ten vectors about each of n / 10 centres."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((max(n // 10, 1), dim))
    rows = centres[random.integers(len(centres), size=n)] + 0.5 * random.standard_normal((n, dim))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def assert_answers_like_numpy(
    index: VectorIndex, rows: Rows, queries: NDArray[np.float32], k: int, *, atol: float = 1e-3, **asked: object
) -> None:
    """`rows` are those that the search may answer with. Where two are equally similar to within `atol`, either may
    stand before the other."""
    similarities, numbers = index.search(queries, k, **asked)  # type: ignore[arg-type]
    assert similarities.shape == numbers.shape == (len(queries), k)
    for query, got, found in zip(queries, similarities, numbers, strict=True):
        expected = sorted((float(query @ row) for row in rows.values()), reverse=True)[:k]
        there = len(expected)
        np.testing.assert_allclose(got[:there], expected, atol=atol)
        assert len(set(found[:there].tolist())) == there
        for number, similarity in zip(found[:there].tolist(), got[:there].tolist(), strict=True):
            assert abs(float(query @ rows[number]) - similarity) <= atol
        assert (found[there:] == -1).all()
        assert np.isneginf(got[there:]).all()
