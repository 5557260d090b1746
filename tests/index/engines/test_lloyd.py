"""Centres that are learned among neighbours are as good as those of the full algorithm."""

from __future__ import annotations

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from index.engines.lloyd import learn_centres, means
from tests.index.conftest import unit


def strewn(things: int, photos: int, dim: int = 32, seed: int = 0) -> NDArray[np.float32]:
    """Photos (things * photos, dim) around things, in any order."""
    random = np.random.default_rng(seed)
    things_at = np.repeat(random.standard_normal((things, dim)), photos, axis=0)
    return unit(random.permutation(things_at + 0.4 * random.standard_normal((things * photos, dim))))


def closeness(sample: NDArray[np.float32], centres: NDArray[np.float32]) -> float:
    """Mean cosine of a vector to its nearest centre, which k-means makes large."""
    return float((sample @ centres.T).max(axis=1).mean())


def test_they_are_as_close_as_those_of_the_full_algorithm() -> None:
    sample = strewn(600, 20)
    full = faiss.Kmeans(32, 600, niter=8, spherical=True, seed=1, min_points_per_centroid=1)
    full.train(sample)
    learned = learn_centres(sample, 600, rounds=8, seed=1)
    by_chance = sample[np.random.default_rng(1).choice(len(sample), 600, replace=False)]
    # In the way from a choice by chance to the full algorithm's centres.
    start, goal = closeness(sample, by_chance), closeness(sample, full.centroids)
    assert closeness(sample, learned) > goal - 0.05 * (goal - start)


def test_each_round_brings_them_closer() -> None:
    sample = strewn(100, 20)
    close = [closeness(sample, learn_centres(sample, 100, rounds=rounds, seed=1)) for rounds in range(5)]
    assert close == sorted(close)
    assert close[0] < close[1] < close[4]


def test_they_are_the_same_each_time_and_others_with_another_seed() -> None:
    sample = strewn(50, 20)
    first = learn_centres(sample, 64, rounds=3, seed=1)
    np.testing.assert_array_equal(learn_centres(sample, 64, rounds=3, seed=1), first)
    assert (learn_centres(sample, 64, rounds=3, seed=2) != first).any()


@settings(max_examples=30)
@given(seed=st.integers(0, 2**16), count=st.integers(1, 40), more=st.integers(0, 60), copies=st.integers(1, 5))
def test_there_are_as_many_as_wanted_all_of_unit_length(seed: int, count: int, more: int, copies: int) -> None:
    random = np.random.default_rng(seed)
    sample = np.repeat(unit(random.standard_normal((count + more, 8))), copies, axis=0)
    centres = learn_centres(sample, count, rounds=3, seed=seed)
    assert centres.shape == (count, 8)
    assert centres.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1, atol=1e-5)


def test_a_centre_that_nobody_is_near_comes_to_a_large_one_s_side() -> None:
    sample = unit(np.eye(8)[0] + 0.1 * np.random.default_rng(0).standard_normal((30, 8)))
    far = -np.eye(8, dtype=np.float32)[:2]
    centres = means(sample, np.zeros(30, np.int64), np.concatenate([sample[:1], far]))
    mean = sample.sum(axis=0) / np.linalg.norm(sample.sum(axis=0))
    assert (centres @ mean).tolist()[:2] == pytest.approx([1, 1], abs=1e-5)
    assert len(np.unique((sample @ centres[:2].T).argmax(axis=1))) == 2  # they share its vectors from now on


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_centres_of_few_vectors(count: int) -> None:
    sample = np.eye(3, 4, dtype=np.float32)
    centres = learn_centres(sample, count, rounds=2, seed=0)
    assert len(centres) == count
