"""Merges while searches and changes go on."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from index.engines import MergeUnderWay, OverlayIndex, VectorIndex, build, open_index, parse_spec
from index.engines.locks import ReadWriteLock
from index.engines.protocol import Blocks
from tests.index.engines.worlds import Rows, assert_answers_like_numpy, built, unit_vectors

DIM = 8
QUERIES = unit_vectors(4, DIM, seed=1)
SPEC = parse_spec("ivf,sq8,probes=9999,refine=100,keep=float32")
PATIENCE = 30


class Paused:
    """A rebuild that waits in the middle until it is let go."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, blocks: Blocks) -> VectorIndex:
        merged = build(SPEC, DIM, blocks)
        self.begun.set()
        assert self.go_on.wait(PATIENCE)
        merged.save(self.path)
        return open_index(self.path, SPEC)


def test_what_changes_during_a_merge_is_there_at_once_and_afterwards(tmp_path: Path) -> None:
    rows: Rows = dict(enumerate(unit_vectors(50, DIM, seed=2)))
    index, paused = OverlayIndex(built(SPEC, rows, DIM)), Paused(tmp_path / "merged.faiss")

    def change(added: range, seed: int, gone: list[int]) -> None:
        vectors = unit_vectors(len(added), DIM, seed)
        index.add(np.array(added), vectors)
        assert index.remove(gone) == len(gone)
        rows.update(zip(added, vectors, strict=True))
        for number in gone:
            del rows[number]

    change(range(45, 60), 3, [1, 2, 50])
    merging = threading.Thread(target=index.merge, args=(paused,))
    merging.start()
    assert paused.begun.wait(PATIENCE)
    with pytest.raises(MergeUnderWay):
        index.merge()
    # Replaced in the old base, replaced among the changes, new, come back; gone from the old base and the changes.
    change(range(40, 48), 4, [10, 51])
    change(range(1, 3), 5, [60 - 1, 40])
    change(range(70, 72), 6, [71])
    assert_answers_like_numpy(index, rows, QUERIES, 70)
    paused.go_on.set()
    merging.join(PATIENCE)
    assert_answers_like_numpy(index, rows, QUERIES, 70)
    numbers = np.array(sorted(rows))
    np.testing.assert_array_equal(index.numbers(), numbers)
    np.testing.assert_array_equal(index.reconstruct(numbers), np.stack([rows[n] for n in numbers.tolist()]))
    assert 0 < index.stats().changes < 25
    index.merge()
    assert index.stats().changes == 0
    assert_answers_like_numpy(index, rows, QUERIES, 70)


def test_a_merge_that_fails_changes_nothing_and_the_next_one_may_run() -> None:
    rows: Rows = dict(enumerate(unit_vectors(30, DIM, seed=2)))
    index = OverlayIndex(built(SPEC, rows, DIM))
    index.remove([3])
    del rows[3]

    def fails(blocks: Blocks) -> VectorIndex:
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        index.merge(fails)
    assert_answers_like_numpy(index, rows, QUERIES, 30)
    index.merge()
    assert_answers_like_numpy(index, rows, QUERIES, 30)


def test_searches_beside_writes_and_merges_never_see_half_a_change() -> None:
    """A number is moved back and forth between two places: a search sees it once, at one of the two."""
    rows: Rows = dict(enumerate(unit_vectors(40, DIM, seed=2)))
    places = unit_vectors(2, DIM, seed=9)
    rows[7] = places[0]
    index, stop = OverlayIndex(built(SPEC, rows, DIM)), threading.Event()
    wrong: list[object] = []

    def ask() -> None:
        while not stop.is_set():
            similarities, numbers = index.search(places, 40)
            at = np.argwhere(numbers == 7)
            if (numbers < 0).any() or len(at) != 2:
                wrong.append(numbers)
                return
            seen = similarities[tuple(at.T)]
            if not any(np.allclose(seen, places @ place, atol=1e-3) for place in places):
                wrong.append(seen)
                return

    asking = [threading.Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
    for turn in range(30):
        index.add(np.array([7]), places[(turn + 1) % 2][None])
        if turn % 10 == 5:
            index.merge()
    stop.set()
    for thread in asking:
        thread.join(PATIENCE)
    assert wrong == []


def test_a_writer_waits_for_readers_and_readers_for_a_writer() -> None:
    lock, order = ReadWriteLock(), list[str]()
    reading = threading.Event()

    def write() -> None:
        reading.wait(PATIENCE)
        with lock.writing():
            order.append("written")

    writer = threading.Thread(target=write)
    writer.start()
    with lock.reading():
        reading.set()
        order.append("read")
    writer.join(PATIENCE)
    with pytest.raises(OSError, match="while reading"), lock.reading():
        raise OSError("while reading")
    with lock.writing():
        order.append("again")
    assert order == ["read", "written", "again"]
