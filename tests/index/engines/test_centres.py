"""Lists so many that their centres are found by codes."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest

from index.engines import IvfSpec, TrainedIndex, build, open_index, recall
from index.engines.centres import MANY, centre_bytes, centre_parameters, centres_index
from index.engines.protocol import Numbers, Vectors

ITEMS, DIM = 5_000, 32


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    random = np.random.default_rng(0)
    groups = random.standard_normal((ITEMS // 5, DIM), dtype=np.float32)
    drawn = np.repeat(groups, 5, axis=0) + 0.4 * random.standard_normal((ITEMS, DIM), dtype=np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module")
def index(vectors: Vectors) -> TrainedIndex:
    built = build(IvfSpec(storage="sq8", lists=MANY, refine=2), DIM, iter([(np.arange(ITEMS), vectors)]))
    assert isinstance(built, TrainedIndex)
    return built


def probing(index: TrainedIndex, probes: int, storage: str = "sq8") -> TrainedIndex:
    assert isinstance(index.spec, IvfSpec)
    return index.searching_as(index.spec.model_copy(update={"probes": probes}))


def exact(index: TrainedIndex, queries: Vectors) -> Numbers:
    return index.exact(queries, 10)[1]


def test_the_centres_are_held_as_codes_and_in_full(index: TrainedIndex) -> None:
    assert isinstance(faiss.downcast_index(index.searcher.quantizer), faiss.IndexRefine)
    assert centre_bytes(index.searcher) == MANY * (2 * DIM + DIM // 4)


def test_with_every_list_probed_nothing_is_missed(index: TrainedIndex, vectors: Vectors) -> None:
    assert recall(probing(index, MANY).search(vectors[:200], 10)[1], exact(index, vectors[:200])) > 0.999


def test_the_nearest_centres_by_codes_are_nearly_those_in_full(index: TrainedIndex, vectors: Vectors) -> None:
    centres = faiss.downcast_index(index.searcher.quantizer)
    in_full = faiss.downcast_index(centres.refine_index)
    for probes in (4, 32, 256):
        found = centres.search(vectors[:300], probes, params=centre_parameters(probes))[1]
        assert recall(found, in_full.search(vectors[:300], probes)[1]) > 0.97


def test_a_saved_index_opens_and_answers_the_same(index: TrainedIndex, vectors: Vectors, tmp_path: Path) -> None:
    index.save(tmp_path / "index.faiss")
    opened = open_index(tmp_path / "index.faiss", index.spec)
    for before, after in zip(index.search(vectors[:50], 10), opened.search(vectors[:50], 10), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(("count", "dim"), [(MANY - 1, 8), (MANY, 7)])
def test_few_centres_and_odd_dimensions_stay_as_they_are(count: int, dim: int) -> None:
    centres = faiss.IndexFlatIP(dim)
    centres.add(np.random.default_rng(0).standard_normal((count, dim), dtype=np.float32))
    assert centres_index(centres) is centres
