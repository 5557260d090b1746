"""A gallery as one adaptation sees it, kept in step with what comes and goes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from index import space as space_module
from index.adaptation import Adaptation, WithinLabelScatter, fit_adaptation
from index.recognizer import Recognizer
from tests.index.conftest import DIM, HiddenWorld, World, item


@pytest.fixture
def adaptation() -> Adaptation:
    """Fitted on other things than the tests look at."""
    world = HiddenWorld(20, seed=5)
    fitted = fit_adaptation(WithinLabelScatter.of([world.photos(thing, 4) for thing in range(20)], DIM), 0.1)
    assert fitted is not None
    return fitted


def mean_of_five_nearest(photo: NDArray[np.float64], strangers: NDArray[np.float64]) -> float:
    return float(np.sort([photo @ stranger for stranger in strangers])[-5:].mean())


def test_without_adaptation_vectors_are_what_the_index_has(world: World, recognizer: Recognizer) -> None:
    recognizer.upsert(world.distractors(range(40, 50)))
    space = recognizer.space_with(None)
    query = world.photos(3)[0]
    np.testing.assert_array_equal(space.query(query), query.astype(np.float64))
    np.testing.assert_array_equal(space.probes(query), query[None])
    photos = space.photos("thing-3")
    assert photos.label == "thing-3"
    np.testing.assert_array_equal(photos.numbers, [13, 14, 15, 16])
    np.testing.assert_array_equal(photos.vectors, recognizer.index.reconstruct(photos.numbers))
    np.testing.assert_array_equal(space.strangers(), recognizer.distractors.matrix())


def test_photos_queries_and_strangers_are_adapted_alike(
    world: World, recognizer: Recognizer, adaptation: Adaptation
) -> None:
    recognizer.upsert(world.distractors(range(40, 50)))
    space = recognizer.space_with(adaptation)
    matrix = adaptation.matrix.astype(np.float64)

    def expected(vector: NDArray[np.float32]) -> NDArray[np.float64]:
        moved = matrix @ vector.astype(np.float64)
        return np.asarray(moved / np.linalg.norm(moved))

    query = world.photos(3)[0]
    np.testing.assert_allclose(space.query(query), expected(query), atol=1e-12)
    photos = space.photos("thing-3")
    for vector, raw in zip(photos.vectors, recognizer.index.reconstruct(photos.numbers), strict=True):
        np.testing.assert_allclose(vector, expected(raw), atol=1e-6)  # mapped in single precision
    strangers = recognizer.distractors.matrix()
    for vector, raw in zip(space.strangers(), strangers, strict=True):
        np.testing.assert_allclose(vector, expected(raw), atol=1e-12)
    cosines = [float(expected(query) @ expected(stranger)) for stranger in strangers]
    np.testing.assert_allclose(space.to_strangers(space.query(query)), cosines, atol=1e-12)


def test_a_photo_that_comes_or_goes_is_seen(world: World, recognizer: Recognizer, adaptation: Adaptation) -> None:
    recognizer.space = space = recognizer.space_with(adaptation)
    before = space.photos("thing-3")
    assert space.photos("thing-3") is before  # kept while nothing changes
    recognizer.upsert([item(900, "thing-3", world.photos(3)[0])])
    np.testing.assert_array_equal(space.photos("thing-3").numbers, [13, 14, 15, 16, 900])
    recognizer.upsert([item(13, "thing-4", world.photos(4)[0])])  # a new label
    np.testing.assert_array_equal(space.photos("thing-3").numbers, [14, 15, 16, 900])
    np.testing.assert_array_equal(space.photos("thing-4").numbers, [13, 17, 18, 19, 20])
    recognizer.remove([14])
    np.testing.assert_array_equal(space.photos("thing-3").vectors, adapted(recognizer, adaptation, [15, 16, 900]))
    recognizer.upsert([item(15, "thing-3", world.photos(5)[0])])  # a new embedding
    np.testing.assert_array_equal(space.photos("thing-3").vectors, adapted(recognizer, adaptation, [15, 16, 900]))


def adapted(recognizer: Recognizer, adaptation: Adaptation, numbers: list[int]) -> NDArray[np.float64]:
    return adaptation.apply(recognizer.index.reconstruct(np.array(numbers)))


def test_penalties_follow_the_distractors(world: World, recognizer: Recognizer, adaptation: Adaptation) -> None:
    recognizer.space = space = recognizer.space_with(adaptation)

    def expected(strangers: list[NDArray[np.float32]]) -> list[float]:
        there = adaptation.apply(np.stack(strangers))
        return [mean_of_five_nearest(photo, there) for photo in space.photos("thing-3").vectors]

    np.testing.assert_array_equal(space.item_penalties("thing-3"), np.zeros(4))
    distractors = world.distractors(range(40, 50))
    recognizer.upsert(distractors)
    embeddings = [distractor.embedding for distractor in distractors]
    np.testing.assert_allclose(space.item_penalties("thing-3"), expected(embeddings), atol=1e-12)
    recognizer.upsert([item(500, None, world.photos(3)[0])])  # looks just like the thing
    more = [*embeddings, recognizer.distractors.matrix()[0]]
    np.testing.assert_allclose(space.item_penalties("thing-3"), expected(more), atol=1e-12)
    recognizer.remove([500])
    np.testing.assert_allclose(space.item_penalties("thing-3"), expected(embeddings), atol=1e-12)
    recognizer.upsert([item(900, "thing-3", world.photos(3)[0])])
    assert len(space.item_penalties("thing-3")) == 5
    np.testing.assert_allclose(space.item_penalties("thing-3"), expected(embeddings), atol=1e-12)


def test_strangers_are_not_adapted_anew_for_every_photo(world: World, recognizer: Recognizer) -> None:
    recognizer.upsert(world.distractors(range(40, 50)))
    strangers = recognizer.space.strangers()
    recognizer.upsert([item(900, "thing-3", world.photos(3)[0])])
    assert recognizer.space.strangers() is strangers


def test_probes_nominate_what_is_near_after_adaptation(adaptation: Adaptation) -> None:
    world = HiddenWorld(60)
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64)
    recognizer.upsert(world.items(range(60), 1))
    space = recognizer.space_with(adaptation)
    missed = 0
    for thing in range(60):
        (query,) = world.photos(thing)
        embedding, probe = space.probes(query)
        np.testing.assert_array_equal(embedding, query)
        np.testing.assert_array_equal(probe, adaptation.probe(query))
        nearest = recognizer.rank(query, space=space, neighbours=60).labels[0]
        few = recognizer.rank(query, space=space, neighbours=4).labels
        assert len(few) <= 8
        assert (few[0].label, few[0].score) == (nearest.label, nearest.score)
        missed += nearest.label not in {entry.label for entry in recognizer.rank(query, neighbours=4).labels}
    assert missed > 10  # the embedding alone would not have led there


def test_photos_let_go_for_lack_of_room_come_back_the_same(
    recognizer: Recognizer, adaptation: Adaptation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space_module, "_MOST_ROWS", 10)  # room for two labels of four photos
    space = recognizer.space_with(adaptation)
    first = space.photos("thing-0")
    for thing in range(1, 20):
        space.photos(f"thing-{thing}")
    again = space.photos("thing-0")
    assert again is not first
    np.testing.assert_array_equal(again.vectors, first.vectors)
    space.forget("thing-0")
    space.forget("thing-0")  # nothing is left to forget
    space.forget("no such label")
    np.testing.assert_array_equal(space.photos("thing-0").vectors, first.vectors)


def test_photos_of_many_labels_come_by_one_request_and_are_the_same(
    world: World, recognizer: Recognizer, adaptation: Adaptation, monkeypatch: pytest.MonkeyPatch
) -> None:
    recognizer.upsert(world.distractors(range(40, 50)))
    labels = [f"thing-{thing}" for thing in range(6)]
    apart = recognizer.space_with(adaptation)
    expected = [apart.photos(label) for label in labels]
    asked: list[int] = []
    reconstruct = recognizer.index.reconstruct

    def counted(numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        asked.append(len(numbers))
        return reconstruct(numbers)

    together = recognizer.space_with(adaptation)
    together.photos(labels[2])
    monkeypatch.setattr(recognizer.index, "reconstruct", counted)
    together.fetch(labels)
    found = [together.photos(label) for label in labels]
    assert asked == [sum(len(photos.numbers) for photos in expected if photos.label != labels[2])]
    for one, other in zip(found, expected, strict=True):
        assert one.label == other.label
        np.testing.assert_array_equal(one.numbers, other.numbers)
        np.testing.assert_array_equal(one.vectors, other.vectors)
