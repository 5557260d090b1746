"""Lists so many that their centres are found by codes."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest

from index.engines import IvfSpec, TrainedIndex, build, open_index, recall
from index.engines.centres import MANY, centre_bytes, centre_finder, centre_learner, centre_parameters
from index.engines.protocol import Numbers, Vectors

ITEMS, DIM = 5_000, 64


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
    assert centre_bytes(index.searcher) == MANY * (2 * DIM + DIM // 8)


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


def test_a_vector_lies_in_the_list_of_its_nearest_centre(index: TrainedIndex, vectors: Vectors) -> None:
    """But for the few that codes misjudge."""
    in_full = faiss.downcast_index(faiss.downcast_index(index.searcher.quantizer).refine_index)
    nearest = in_full.search(vectors, 1)[1][:, 0]
    lists = index.searcher.invlists
    lies_in = np.empty(ITEMS, np.int64)
    for number in range(lists.nlist):
        if size := lists.list_size(number):
            lies_in[faiss.rev_swig_ptr(lists.get_ids(number), size)] = number
    assert np.mean(lies_in == nearest) > 0.97


def test_centres_learned_by_codes_are_as_near_to_vectors_as_others(vectors: Vectors) -> None:
    def nearness(finder: faiss.Index) -> float:
        clustering = faiss.Clustering(DIM, MANY)
        clustering.niter, clustering.spherical, clustering.seed = 8, True, 1
        clustering.min_points_per_centroid = 1
        clustering.update_index = True
        clustering.train(vectors, finder)
        centres = faiss.vector_to_array(clustering.centroids).reshape(MANY, DIM)
        return float((vectors @ centres.T).max(axis=1).mean())

    assert nearness(centre_learner(DIM, MANY)) > 0.995 * nearness(faiss.IndexFlatIP(DIM))


@pytest.mark.parametrize(("count", "dim"), [(MANY - 1, 8), (MANY, 6)])
def test_few_centres_and_odd_dimensions_are_all_compared(count: int, dim: int) -> None:
    centres = np.random.default_rng(0).standard_normal((count, dim), dtype=np.float32)
    assert isinstance(centre_finder(centres), faiss.IndexFlatIP)
    assert isinstance(centre_learner(dim, count), faiss.IndexFlatIP)
