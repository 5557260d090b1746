"""One history of a gallery over every engine: adds, deletes, relabels, saves, openings, merges; NumPy knows better."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from index.engines import OverlayIndex, Selection, build, least_effort, open_index, parse_spec, recall
from index.engines.trained import TrainedIndex
from index.items import Item
from index.recognizer import Recognizer
from index.tuner import tune
from tests.index.conftest import DIM as WORLD_DIM
from tests.index.conftest import World
from tests.index.engines.worlds import (
    LOOKING_EVERYWHERE,
    Rows,
    assert_answers_like_numpy,
    built,
    clustered,
    in_blocks,
    unit_vectors,
)

DIM = 8
QUERIES = unit_vectors(3, DIM, seed=1)
NUMBERS = st.lists(st.integers(0, 40), min_size=1, max_size=8, unique=True)


class History(RuleBasedStateMachine):
    """What happens to a gallery, to an engine and to a dictionary alike."""

    spec = "flat"

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.saves = 0
        self.rows: Rows = {}
        self.labels: dict[int, int] = {}
        self.index = OverlayIndex(built(self.spec, {}, DIM))

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @initialize(n=st.integers(0, 40), seed=st.integers(0, 999))
    def begin(self, n: int, seed: int) -> None:
        self.rows = dict(enumerate(unit_vectors(n, DIM, seed)))
        self.labels = {number: number % 3 for number in self.rows}
        self.index = OverlayIndex(built(self.spec, self.rows, DIM))

    @rule(numbers=NUMBERS, label=st.integers(0, 2), seed=st.integers(0, 999))
    def add(self, numbers: list[int], label: int, seed: int) -> None:
        vectors = unit_vectors(len(numbers), DIM, seed)
        self.index.add(np.array(numbers), vectors)
        self.rows.update(zip(numbers, vectors, strict=True))
        self.labels.update(dict.fromkeys(numbers, label))

    @rule(numbers=NUMBERS)
    def remove(self, numbers: list[int]) -> None:
        held = [number for number in numbers if self.rows.pop(number, None) is not None]
        for number in held:
            del self.labels[number]
        assert self.index.remove(numbers) == len(held)

    @precondition(lambda self: self.rows)
    @rule(data=st.data(), label=st.integers(0, 2))
    def relabel(self, data: st.DataObject, label: int) -> None:
        self.labels[data.draw(st.sampled_from(sorted(self.rows)))] = label

    @rule()
    def save_and_open(self) -> None:
        self.saves += 1
        path = self.folder / f"{self.saves}.faiss"
        self.index.save(path)
        self.index = OverlayIndex(open_index(path, self.index.spec))

    @rule()
    def merge(self) -> None:
        self.index.merge()
        assert self.index.stats().changes == 0

    @rule(k=st.integers(1, 50))
    def ask(self, k: int) -> None:
        assert_answers_like_numpy(self.index, self.rows, QUERIES, k)

    @rule(k=st.integers(1, 12), label=st.integers(0, 2), inverted=st.booleans())
    def ask_for_a_label(self, k: int, label: int, inverted: bool) -> None:
        listed = [number for number, of in self.labels.items() if of == label]
        within = Selection.without(listed) if inverted else Selection.only(listed)
        rows = {number: row for number, row in self.rows.items() if (number in listed) != inverted}
        assert_answers_like_numpy(self.index, rows, QUERIES, k, within=within)

    @invariant()
    def holds_what_it_should(self) -> None:
        assert len(self.index) == len(self.rows) == self.index.stats().items
        numbers = np.array(sorted(self.rows), np.int64)
        np.testing.assert_array_equal(self.index.numbers(), numbers)
        asked = np.arange(-2, 45)
        assert self.index.contains(asked).tolist() == [number in self.rows for number in asked.tolist()]
        expected = np.array([self.rows[number] for number in numbers.tolist()], np.float32).reshape(-1, DIM)
        np.testing.assert_allclose(self.index.reconstruct(numbers), expected, atol=5e-4)


@pytest.mark.parametrize("spec", [*LOOKING_EVERYWHERE, "milvus,flat", "milvus,hnsw,ef=999"])
def test_any_history_answers_like_numpy(spec: str, request: pytest.FixtureRequest) -> None:
    if spec.startswith("milvus"):
        request.getfixturevalue("milvus_lite")
    machine = type("HistoryOfOne", (History,), {"spec": spec})
    run_state_machine_as_test(machine, settings=settings(max_examples=12, stateful_step_count=12, deadline=None))


FLOORS = {
    "flat,sq8": 0.97,
    "flat,sq8,refine": 0.99,
    "ivf": 0.95,
    "ivf,sq8": 0.95,
    "ivf,sq8,refine": 0.95,
    "ivf,pq=16,refine": 0.95,
    "hnsw": 0.99,
    "hnsw,sq8,refine": 0.99,
    "hnsw,pca=24,sq8,refine=4": 0.95,
    "ivf,pca=28,sq8,refine=4": 0.95,
    "milvus": 0.95,
}


@pytest.mark.parametrize("spec", FLOORS)
def test_as_they_ship_they_keep_their_floor_after_changes_and_a_merge(
    spec: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if spec.startswith("milvus"):
        request.getfixturevalue("milvus_lite")
    random = np.random.default_rng(3)
    vectors, queries = np.split(clustered(3_200, 32, seed=5), [3_000])
    rows = dict(enumerate(vectors[:2_500]))
    built(spec, rows, 32).save(tmp_path / "index.faiss")
    index = OverlayIndex(open_index(tmp_path / "index.faiss", parse_spec(spec)))
    gone = random.choice(2_500, 400, replace=False)
    index.remove(gone.tolist())
    index.add(np.arange(2_500, 3_000), vectors[2_500:])
    rows.update(enumerate(vectors[2_500:], 2_500))
    kept = np.array(sorted(set(rows) - set(gone.tolist())))
    for merged in (False, True):
        if merged:
            index.merge()
        for selected in (None, kept[kept % 2 == 0], kept[kept % 40 == 0]):
            among = kept if selected is None else selected
            truth = among[np.argsort(-(queries @ vectors[among].T), axis=1)[:, :10]]
            within = None if selected is None else Selection.only(selected)
            assert recall(index.search(queries, 10, within=within)[1], truth) >= FLOORS[spec]


Gallery = tuple[World, list[Item], Recognizer]


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    world = World(60)
    items = world.items(range(20), 4)
    exact = Recognizer(WORLD_DIM, bundle_sha256="b" * 64)
    exact.upsert([*items, *world.distractors(range(30, 40))])
    exact.tuning = tune(exact)
    return world, items, exact


@pytest.mark.parametrize(
    "spec", [*(spec for spec in LOOKING_EVERYWHERE if parse_spec(spec).kept_as == "float32"), "milvus,flat"]
)
def test_verdicts_are_those_of_flat(spec: str, gallery: Gallery, request: pytest.FixtureRequest) -> None:
    if spec.startswith("milvus"):
        request.getfixturevalue("milvus_lite")
    world, items, exact = gallery
    base = built(spec, {item.number: item.embedding for item in items}, WORLD_DIM)
    other = Recognizer(WORLD_DIM, bundle_sha256="b" * 64, base=base)
    _take_the_rest_of(other, exact, items)
    queries = np.concatenate([world.photos(thing) for thing in range(60)])
    assert other.recognize(queries) == exact.recognize(queries)


def _take_the_rest_of(other: Recognizer, exact: Recognizer, items: list[Item]) -> None:
    for item in items:
        assert item.label is not None
        other.table.put(item.number, item.id, item.label)
    numbers = exact.distractors.numbers().tolist()
    none = np.empty((0, WORLD_DIM), np.float32)
    other.distractors.put(
        [Item(number, "", None, row, none) for number, row in zip(numbers, exact.distractors.matrix(), strict=True)]
    )
    other.tuning = exact.tuning


def test_least_effort_is_least() -> None:
    vectors, queries = np.split(clustered(2_200, 32, seed=5), [2_000])
    index = build(parse_spec("ivf,sq8,refine"), 32, in_blocks(dict(enumerate(vectors)), 500))
    assert isinstance(index, TrainedIndex)
    truth = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]

    def reached(probes: int) -> float:
        spec = parse_spec(f"ivf,sq8,refine,probes={probes}")
        assert spec.kind == "ivf"
        return recall(index.searching_as(spec).search(queries, 10)[1], truth)

    tuned = least_effort(index, queries, floor=0.98).spec
    assert tuned.kind == "ivf"
    assert reached(tuned.probes) >= 0.98 > reached(tuned.probes - 1)
