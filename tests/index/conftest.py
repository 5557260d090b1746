"""Galleries made of vectors: clusters with known labels, so that right answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from index.items import Item
from index.recognizer import Recognizer

DIM = 32


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


class World:
    """Things with a direction each; a photo is the direction and noise."""

    def __init__(self, things: int, *, noise: float = 0.1, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.noise = noise
        self.centres = unit(self.random.standard_normal((things, DIM)))

    def photos(self, thing: int, n: int = 1) -> NDArray[np.float32]:
        return unit(self.centres[thing] + self.noise * self.random.standard_normal((n, DIM)))

    def items(self, things: range, photos: int, *, views: int = 0, first: int = 1) -> list[Item]:
        items = []
        for thing in things:
            for embedding in self.photos(thing, photos):
                number = first + len(items)
                items.append(Item(number, f"id{number}", f"thing-{thing}", embedding, self.photos(thing, views)))
        return items

    def distractors(self, things: range, *, first: int = 10_000) -> list[Item]:
        none = np.empty((0, DIM), np.float32)
        return [Item(first + at, f"d{at}", None, self.photos(thing)[0], none) for at, thing in enumerate(things)]


@pytest.fixture
def world() -> World:
    return World(60)


@pytest.fixture
def recognizer(world: World) -> Recognizer:
    """20 things with 4 photos each."""
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64)
    recognizer.upsert(world.items(range(20), 4))
    return recognizer
