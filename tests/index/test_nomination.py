"""One label with a thousand photos does not hide the others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.engines import Selection
from index.items import Item
from index.nomination import FEWEST_NOMINATED
from index.ranking import NEIGHBOURS
from index.recognizer import Recognizer
from index.tuner import tune
from tests.index.conftest import DIM, NO_VIEWS, World, item

CROWD = 1000


def crowded(world: World, things: int, *, photos: int = CROWD) -> Recognizer:
    """Thing 0 with a thousand photos that differ little, the others with three each."""
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64)
    near = World(1, noise=0.02, seed=3)
    near.centres = world.centres[:1]
    crowd = [item(number, "crowd", photo) for number, photo in enumerate(near.photos(0, photos), 1)]
    recognizer.upsert([*crowd, *world.items(range(1, things), 3, first=photos + 1)])
    return recognizer


def exact(recognizer: Recognizer, query: np.ndarray) -> list[tuple[str, float]]:
    """Every label of the gallery with its score: a search for all photos nominates them all."""
    return [(entry.label, entry.score) for entry in recognizer.rank(query, neighbours=len(recognizer)).labels]


def test_the_labels_behind_the_crowd_are_found_with_their_exact_scores(world: World) -> None:
    recognizer = crowded(world, 40)
    query = world.photos(0)[0]
    _, nearest = recognizer.index.search(query[None], NEIGHBOURS)
    assert recognizer.table.labels_of(nearest[0].tolist()) == ["crowd"]  # so the others would be hidden
    ranked = recognizer.rank(query)
    assert len(ranked.labels) >= FEWEST_NOMINATED
    best = exact(recognizer, query)
    photos_nearest = recognizer.table.labels_of(recognizer.index.search(query[None], len(recognizer))[1][0].tolist())
    assert {entry.label for entry in ranked.labels} >= set(photos_nearest[:FEWEST_NOMINATED])
    assert [(entry.label, entry.score) for entry in ranked.labels][:2] == best[:2]
    assert ranked.best_evidence().margin[0] == best[0][1] - best[1][1] > 0


def test_a_twin_behind_the_crowd_makes_it_ambiguous(world: World) -> None:
    recognizer = crowded(world, 30, photos=200)
    recognizer.tuning = tune(recognizer)
    twin = [Item(5000 + at, f"t{at}", "twin", photo, NO_VIEWS) for at, photo in enumerate(world.photos(0, 3))]
    query = world.photos(0)[0]
    recognizer.upsert(twin)
    verdict = recognizer.trace(query).verdict
    assert {entry.label for entry in verdict.candidates[:2]} == {"crowd", "twin"}
    assert len(verdict.candidates) == 5


@pytest.mark.parametrize("things", [1, 2, 4])
def test_a_gallery_of_few_labels_has_them_all_ranked(world: World, things: int) -> None:
    recognizer = crowded(world, things, photos=200)
    query = world.photos(0)[0]
    ranked = recognizer.rank(query)
    assert len(ranked.labels) == things
    assert [(entry.label, entry.score) for entry in ranked.labels] == exact(recognizer, query)
    left = recognizer.rank(query, leaving_out=frozenset({"crowd"}))
    assert len(left.labels) == things - 1


def test_within_a_filter_too(world: World) -> None:
    recognizer = crowded(world, 40)
    numbers = [*range(1, 501), *range(CROWD + 1, CROWD + 1 + 3 * 8)]
    ranked = recognizer.rank(world.photos(0)[0], within=Selection.only(numbers))
    assert len(ranked.labels) >= FEWEST_NOMINATED
    assert {entry.label for entry in ranked.labels} <= {"crowd", *(f"thing-{n}" for n in range(1, 9))}


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.sampled_from([1, 3, 40, 160]), min_size=1, max_size=9), seed=st.integers(0, 99))
def test_the_best_of_what_is_ranked_is_the_best_of_all(sizes: list[int], seed: int) -> None:
    world = World(9, noise=0.05, seed=seed)
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64)
    first = 1
    for thing, photos in enumerate(sizes):
        recognizer.upsert(world.items(range(thing, thing + 1), photos, first=first))
        first += photos
    query = world.photos(0)[0]
    ranked = recognizer.rank(query)
    assert len(ranked.labels) >= min(FEWEST_NOMINATED, len(sizes))
    assert (ranked.labels[0].label, ranked.labels[0].score) == exact(recognizer, query)[0]
