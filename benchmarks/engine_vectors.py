"""Vectors for measuring search engines: as many as wanted, in clusters as a gallery's are."""

from __future__ import annotations

import numpy as np

from benchmarks.engine_peers import Numbers, Vectors

__all__ = ["DIM", "clustered", "labelled", "tiled"]

DIM = 512
_PHOTOS_A_LABEL = 10
_LABELS_A_CATEGORY = 20
_BETWEEN_LABELS = 0.8
_WITHIN_LABELS = 0.6


def clustered(items: int, queries: int, seed: int = 0) -> tuple[Vectors, Vectors]:
    """Unit vectors (items, 512) and queries (queries, 512) of the same labels."""
    drawn, _ = labelled(items + queries, items // _PHOTOS_A_LABEL, seed)
    return drawn[:items], drawn[items:]


def labelled(items: int, labels: int, seed: int = 0) -> tuple[Vectors, Numbers]:
    """Unit vectors (items, 512) and the label (items,) of each, in categories of twenty labels, with directions of
    falling variance, as embeddings have."""
    random = np.random.default_rng(seed)
    falling = ((1 + np.arange(DIM)) ** -0.5).astype(np.float32)

    def strewn(n: int) -> Vectors:
        return random.standard_normal((n, DIM), dtype=np.float32) * falling

    labels = max(labels, 8)
    categories = strewn(max(labels // _LABELS_A_CATEGORY, 4))
    centres = categories[random.integers(len(categories), size=labels)] + _BETWEEN_LABELS * strewn(labels)
    label = random.integers(labels, size=items)
    return _unit(centres[label] + _WITHIN_LABELS * strewn(items)), label


def tiled(embeddings: Vectors, items: int, queries: int, seed: int = 0) -> tuple[Vectors, Vectors]:
    """Unit vectors (items, d) and queries (queries, d) around real embeddings (n, d): labels of ten photos, with
    differences of two embeddings for noise, so that directions vary as they really do."""
    random = np.random.default_rng(seed)

    def drawn(n: int) -> Vectors:
        return embeddings[random.integers(len(embeddings), size=n)]

    labels = max(items // _PHOTOS_A_LABEL, 8)
    half = np.float32(0.5**0.5)  # the difference of two varies twice as much as each
    centres = drawn(labels) + _BETWEEN_LABELS * half * (drawn(labels) - drawn(labels))
    of = random.integers(labels, size=items + queries)
    photos = np.empty((len(of), embeddings.shape[1]), np.float32)
    for start in range(0, len(of), 1 << 16):
        part = slice(start, start + (1 << 16))
        n = len(of[part])
        photos[part] = _unit(centres[of[part]] + _WITHIN_LABELS * half * (drawn(n) - drawn(n)))
    return photos[:items], photos[items:]


def _unit(vectors: Vectors) -> Vectors:
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors
