from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.engines import FlatIndex, NumbersOutOfOrder, OverlayIndex, Selection, build, open_index, parse_spec
from index.engines.trained import TrainedIndex
from index.errors import DimensionMismatch, GenerationCorrupt, ReadOnlyIndex
from tests.index.engines.worlds import LOOKING_EVERYWHERE, built, unit_vectors

DIM = 8
numbers = st.lists(st.integers(0, 12), max_size=8)


@given(listed=numbers, other=numbers, inverted=st.booleans(), other_inverted=st.booleans())
def test_selections_are_sets(listed: list[int], other: list[int], inverted: bool, other_inverted: bool) -> None:
    everything = np.arange(14)

    def of(which: list[int], turned: bool) -> tuple[Selection, set[int]]:
        selection = Selection.without(which) if turned else Selection.only(which)
        return selection, set(everything.tolist()) - set(which) if turned else set(which)

    (first, first_set), (second, second_set) = of(listed, inverted), of(other, other_inverted)
    for selection, expected in ((first, first_set), (first & second, first_set & second_set)):
        assert set(everything[selection.among(everything)].tolist()) == expected
        np.testing.assert_array_equal(selection.places(everything), selection.among(everything))


@pytest.mark.parametrize("spec", LOOKING_EVERYWHERE)
@pytest.mark.parametrize("overlaid", [False, True])
def test_of_many_equals_those_with_the_least_numbers_come_in_order(spec: str, overlaid: bool) -> None:
    """One vector under 30 numbers, among others: the five least of them."""
    vectors = unit_vectors(60, DIM, seed=3)
    vectors[10:40] = vectors[10]
    rows = dict(enumerate(vectors))
    index = built(spec, {} if overlaid else rows, DIM)
    if overlaid:
        index = OverlayIndex(index)
        index.add(np.array(list(rows)[::-1]), vectors[::-1])
    assert index.search(vectors[10:11], 5)[1].tolist() == [[10, 11, 12, 13, 14]]
    within = Selection.without([10, 12, 45])
    assert index.search(vectors[[10, 10]], 3, within=within)[1].tolist() == [[11, 13, 14]] * 2


@pytest.mark.parametrize("spec", [spec for spec in LOOKING_EVERYWHERE if spec != "flat"])
def test_a_trained_index_refuses_to_change_and_lives_on(spec: str, tmp_path: Path) -> None:
    vectors = unit_vectors(30, DIM, seed=3)
    built(spec, dict(enumerate(vectors)), DIM).save(tmp_path / "index.faiss")
    index = open_index(tmp_path / "index.faiss", parse_spec(spec))
    with pytest.raises(ReadOnlyIndex, match="OverlayIndex"):
        index.add(np.array([99]), vectors[:1])
    with pytest.raises(ReadOnlyIndex, match="OverlayIndex"):
        index.remove([3])
    assert index.search(vectors[4:5], 1)[1].tolist() == [[4]]
    assert index.stats().disk_bytes == sum(file.stat().st_size for file in tmp_path.iterdir())


def test_a_search_that_finds_too_few_looks_further() -> None:
    """One list of many probed, and a graph asked for one candidate: still as many as are asked for."""
    vectors = unit_vectors(400, DIM, seed=3)
    for spec in ("ivf,sq8,probes=1", "hnsw,m=2,ef=1"):
        index = built(spec, dict(enumerate(vectors)), DIM)
        for asked in (300, 400):
            found = index.search(vectors[:5], asked)[1]
            assert all(len(set(row)) == asked and min(row) >= 0 for row in found.tolist())


def test_files_that_do_not_belong_together_are_named(tmp_path: Path) -> None:
    spec, path = parse_spec("ivf,sq8,refine"), tmp_path / "index.faiss"
    vectors = unit_vectors(40, DIM, seed=3)
    built(spec, dict(enumerate(vectors)), DIM).save(path)
    with pytest.raises(GenerationCorrupt, match="IndexIVFScalarQuantizer, expected an IndexHNSWSQ"):
        open_index(path, parse_spec("hnsw"))
    built(spec, dict(enumerate(vectors[:30])), DIM).save(tmp_path / "other.faiss")
    for what in ("numbers", "vectors"):
        saved = (tmp_path / f"index.faiss.{what}").read_bytes()
        (tmp_path / f"index.faiss.{what}").write_bytes((tmp_path / f"other.faiss.{what}").read_bytes())
        with pytest.raises(GenerationCorrupt, match="40 vectors of 8 values"):
            open_index(path, spec)
        (tmp_path / f"index.faiss.{what}").write_bytes(b"junk")
        with pytest.raises(GenerationCorrupt, match=what):
            open_index(path, spec)
        (tmp_path / f"index.faiss.{what}").unlink()
        with pytest.raises(GenerationCorrupt, match=what):
            open_index(path, spec)
        (tmp_path / f"index.faiss.{what}").write_bytes(saved)
    assert len(open_index(path, spec)) == 40


@pytest.mark.parametrize("spec", ["flat", "ivf"])
def test_blocks_that_cannot_be_used(spec: str) -> None:
    vectors = unit_vectors(4, DIM, seed=0)
    for block_numbers in ([[0, 1], [1, 2]], [[3, 2], [5, 6]], [[0, 1, 2], [3]]):
        blocks = [(np.array(part), vectors[:2]) for part in block_numbers]
        with pytest.raises(NumbersOutOfOrder):
            build(parse_spec(spec), DIM, blocks)
    with pytest.raises(DimensionMismatch, match="8 dimensions"):
        build(parse_spec(spec), DIM, [(np.arange(2), np.zeros((2, DIM + 1), np.float32))])


def test_queries_of_another_width() -> None:
    for index in (FlatIndex(DIM), built("ivf", {0: unit_vectors(1, DIM, seed=0)[0]}, DIM)):
        with pytest.raises(DimensionMismatch, match="8 dimensions"):
            index.search(np.zeros((1, DIM + 1), np.float32), 1)


def test_what_an_index_takes() -> None:
    vectors = dict(enumerate(unit_vectors(64, DIM, seed=0)))
    index = built("ivf,sq8,lists=4,refine", vectors, DIM)
    stats = index.stats()
    assert stats.engine == "ivf,sq8,lists=4,refine=2"
    # a byte a value, two numbers of eight bytes; four centres in full
    assert stats.memory_bytes == 64 * (DIM + 8 + 8) + 4 * DIM * 4
    assert stats.kept_bytes == 64 * DIM * 2
    assert isinstance(index, TrainedIndex)
    overlay = OverlayIndex(index)
    overlay.remove([1, 2])
    overlay.add(np.array([2, 70, 71]), unit_vectors(3, DIM, seed=1))
    assert (overlay.stats().items, overlay.stats().changes) == (65, 5)
