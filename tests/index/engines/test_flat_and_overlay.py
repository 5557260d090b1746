"""Every engine call against NumPy, over random histories of adds and removals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from index.engines import FlatIndex, OverlayIndex, VectorIndex
from index.errors import DimensionMismatch, GenerationCorrupt, ReadOnlyIndex

DIM = 6


class Model:
    """What an index must do, in plain Python."""

    def __init__(self) -> None:
        self.rows: dict[int, NDArray[np.float32]] = {}

    def search(self, query: NDArray[np.float32], k: int) -> list[tuple[float, int]]:
        found = [(float(query @ row), number) for number, row in self.rows.items()]
        return sorted(found, key=lambda pair: (-pair[0], pair[1]))[:k]


def vectors(n: int, seed: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((n, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def flat(tmp_path: Path) -> VectorIndex:
    return FlatIndex(DIM)


def overlay(tmp_path: Path) -> VectorIndex:
    base = FlatIndex(DIM)
    base.add(np.arange(100, 120), vectors(20, seed=99))
    base.save(tmp_path / "base.faiss")
    return OverlayIndex(FlatIndex.open(tmp_path / "base.faiss"))


ENGINES = pytest.mark.parametrize("make", [flat, overlay])

operations = st.lists(
    st.tuples(
        st.sampled_from(["add", "remove"]),
        st.lists(st.integers(95, 125), min_size=1, max_size=6, unique=True),
        st.integers(0, 2**16),
    ),
    max_size=12,
)


@ENGINES
@settings(max_examples=60, deadline=None)
@given(history=operations, k=st.integers(1, 40))
def test_any_history_answers_like_numpy(
    make: Callable[[Path], VectorIndex], tmp_path_factory: pytest.TempPathFactory, history: list, k: int
) -> None:
    index, model = make(tmp_path_factory.mktemp("engine")), Model()
    for number, row in zip(index.numbers(), index.reconstruct(index.numbers()), strict=True):
        model.rows[int(number)] = row
    for what, numbers, seed in history:
        if what == "add":
            rows = vectors(len(numbers), seed)
            index.add(np.array(numbers), rows)
            model.rows.update(zip(numbers, rows, strict=True))
        else:
            held = [number for number in numbers if model.rows.pop(number, None) is not None]
            assert index.remove(numbers) == len(held)
    assert len(index) == len(model.rows)
    assert index.numbers().tolist() == sorted(model.rows)
    asked = np.arange(94, 127)
    assert index.contains(asked).tolist() == [number in model.rows for number in asked.tolist()]
    np.testing.assert_array_equal(
        index.reconstruct(np.array(sorted(model.rows), np.int64)),
        np.array([model.rows[number] for number in sorted(model.rows)], np.float32).reshape(-1, DIM),
    )
    queries = vectors(3, seed=7)
    similarities, numbers = index.search(queries, k)
    assert similarities.shape == numbers.shape == (3, k)
    for query, got_similarities, got in zip(queries, similarities, numbers, strict=True):
        expected = model.search(query, k)
        np.testing.assert_allclose(got_similarities[: len(expected)], [s for s, _ in expected], atol=1e-6)
        for number, similarity in zip(got[: len(expected)].tolist(), got_similarities, strict=False):
            assert float(query @ model.rows[number]) == pytest.approx(float(similarity), abs=1e-6)
        assert (got[len(expected) :] == -1).all()
        assert np.isneginf(got_similarities[len(expected) :]).all()


@ENGINES
def test_what_is_saved_is_what_is_opened(make: Callable[[Path], VectorIndex], tmp_path: Path) -> None:
    index = make(tmp_path)
    index.add(np.array([5, 3, 200]), vectors(3, seed=1))
    index.remove([101, 3])
    index.save(tmp_path / "saved.faiss")
    opened = FlatIndex.open(tmp_path / "saved.faiss")
    assert opened.numbers().tolist() == index.numbers().tolist()
    np.testing.assert_array_equal(opened.reconstruct(opened.numbers()), index.reconstruct(index.numbers()))
    queries = vectors(4, seed=2)
    for got, expected in zip(opened.search(queries, 8), index.search(queries, 8), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_mapped_index_refuses_to_change_and_lives_on(tmp_path: Path) -> None:
    index = FlatIndex(DIM)
    index.add(np.array([1, 2]), vectors(2, seed=0))
    index.save(tmp_path / "mapped.faiss")
    mapped = FlatIndex.open(tmp_path / "mapped.faiss")
    with pytest.raises(ReadOnlyIndex):
        mapped.add(np.array([3]), vectors(1, seed=1))
    with pytest.raises(ReadOnlyIndex):
        mapped.remove([1])
    assert mapped.search(vectors(2, seed=0), 1)[1].tolist() == [[1], [2]]


def test_equal_similarities_come_in_order_of_number() -> None:
    index = FlatIndex(DIM)
    index.add(np.array([9, 4, 7]), np.repeat(vectors(1, seed=0), 3, axis=0))
    assert index.search(vectors(1, seed=0), 3)[1].tolist() == [[4, 7, 9]]


def test_clear_answers_to_misuse(tmp_path: Path) -> None:
    index = FlatIndex(DIM)
    with pytest.raises(DimensionMismatch, match="6 dimensions"):
        index.add(np.array([1]), np.zeros((1, DIM + 1), np.float32))
    with pytest.raises(KeyError, match="17"):
        index.reconstruct(np.array([17]))
    (tmp_path / "junk.faiss").write_bytes(b"not an index")
    with pytest.raises(GenerationCorrupt, match=r"junk\.faiss"):
        FlatIndex.open(tmp_path / "junk.faiss")
