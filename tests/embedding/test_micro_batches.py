"""Rows of several threads in one call: everyone gets their own, nobody is forgotten, a lone one never waits."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from embedding.micro_batches import MicroBatches

Array = NDArray[np.float32]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from([2, 3])), min_size=1, max_size=24), st.integers(1, 8))
def test_everyone_gets_the_results_of_their_own_rows(callers: list[tuple[int, int]], most: int) -> None:
    sizes: list[int] = []

    def run(rows: Array) -> Array:
        sizes.append(len(rows))
        return rows.sum(1, keepdims=True) * 2

    batches = MicroBatches(run, most)
    given_rows = [np.full((n, wide), at, np.float32) for at, (n, wide) in enumerate(callers)]
    with ThreadPoolExecutor(8) as pool:
        for rows, result in zip(given_rows, pool.map(batches, given_rows), strict=True):
            assert np.array_equal(result, rows.sum(1, keepdims=True) * 2)
    assert sum(sizes) == sum(n for n, _ in callers)
    assert max(sizes) <= max(most, *(n for n, _ in callers))


def test_who_comes_during_a_call_shares_the_next() -> None:
    began, go_on = threading.Event(), threading.Event()
    sizes: list[int] = []

    def run(rows: Array) -> Array:
        sizes.append(len(rows))
        began.set()
        assert go_on.wait(30)
        return rows

    batches = MicroBatches(run, 4)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(batches, np.zeros((1, 2), np.float32))
        assert began.wait(30)  # alone, at once
        others = [pool.submit(batches, np.full((1, 2), at, np.float32)) for at in range(6)]
        while len(batches._waiting) < 6:
            pass
        go_on.set()
        assert [int(other.result()[0, 0]) for other in others] == list(range(6))
        first.result()
    assert sizes == [1, 4, 2]


def test_an_error_is_told_to_all_whose_rows_were_in_the_call_and_to_no_other() -> None:
    began, go_on = threading.Event(), threading.Event()

    def run(rows: Array) -> Array:
        began.set()
        assert go_on.wait(30)
        if rows.min() < 0:
            raise ValueError("negative")
        return rows

    batches = MicroBatches(run, 2)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(batches, np.ones((1, 1), np.float32))
        assert began.wait(30)
        spoilt = [pool.submit(batches, np.full((1, 1), value, np.float32)) for value in (-1, -1)]
        while len(batches._waiting) < 2:
            pass
        go_on.set()
        for future in spoilt:
            with pytest.raises(ValueError, match="negative"):
                future.result()
        assert first.result() == 1
    assert batches(np.ones((1, 1), np.float32)) == 1
