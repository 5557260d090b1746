"""A gallery as one adaptation sees it, kept in step with what comes and goes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from index import space as space_module
from index.adaptation import Adaptation, Centres, WithinLabelScatter, centred, fit_adaptation
from index.engines import FlatIndex
from index.ranking import LabelPhotos
from index.recognizer import Recognizer
from index.space import Space
from index.tuner import tune
from tests.index.conftest import DIM, HiddenWorld, World, item


@pytest.fixture
def adaptation() -> Adaptation:
    """Fitted on other things than the tests look at."""
    world = HiddenWorld(20, seed=5)
    fitted = fit_adaptation(WithinLabelScatter.of([world.photos(thing, 4) for thing in range(20)], DIM), 0.1)
    assert fitted is not None
    return fitted


@pytest.fixture(params=["adapted", "centred, too"])
def used(request: pytest.FixtureRequest, adaptation: Adaptation) -> Adaptation:
    shift = np.full(DIM, 0.05, np.float32)
    return adaptation if request.param == "adapted" else centred(adaptation, Centres(shift, -shift))


def mean_of_five_nearest(photo: NDArray[np.float64], strangers: NDArray[np.float64]) -> float:
    return float(np.sort([photo @ stranger for stranger in strangers])[-5:].mean())


def test_without_adaptation_vectors_are_what_the_index_has(world: World, recognizer: Recognizer) -> None:
    recognizer.upsert(world.distractors(range(40, 50)))
    space = recognizer.space_with(None)
    query = world.photos(3)[0]
    seen = space.query(query)
    np.testing.assert_array_equal([seen.unit, seen.direction], [query.astype(np.float64)] * 2)
    assert seen.offset == 0
    np.testing.assert_array_equal(space.probes(query, space.query(query)), query[None])
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
    seen = space.query(query)
    np.testing.assert_allclose(seen.unit, expected(query), atol=1e-12)
    photos = space.photos("thing-3")
    moved = [expected(raw) for raw in recognizer.index.reconstruct(photos.numbers)]
    # Lengths are of single precision.
    np.testing.assert_allclose(photos.cosines(seen.direction, seen.offset), moved @ expected(query), atol=1e-6)
    assert photos.prototype_length == pytest.approx(np.linalg.norm(np.mean(moved, axis=0)), abs=1e-6)
    strangers = recognizer.distractors.matrix()
    for vector, raw in zip(space.strangers(), strangers, strict=True):
        np.testing.assert_allclose(vector, expected(raw), atol=1e-12)
    cosines = [float(expected(query) @ expected(stranger)) for stranger in strangers]
    np.testing.assert_allclose(space.to_strangers(seen), cosines, atol=1e-12)


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
    check_vectors(recognizer, adaptation, [15, 16, 900])
    recognizer.upsert([item(15, "thing-3", world.photos(5)[0])])  # a new embedding
    check_vectors(recognizer, adaptation, [15, 16, 900])


def check_vectors(recognizer: Recognizer, adaptation: Adaptation, numbers: list[int]) -> None:
    """The photos of thing-3 are these."""
    photos = recognizer.space.photos("thing-3")
    rows = recognizer.index.reconstruct(np.array(numbers))
    np.testing.assert_array_equal(photos.vectors, rows)
    np.testing.assert_array_equal(photos.lengths, adaptation.measured(rows)[1])


def test_penalties_follow_the_distractors(world: World, recognizer: Recognizer, adaptation: Adaptation) -> None:
    recognizer.space = space = recognizer.space_with(adaptation)

    def expected(strangers: list[NDArray[np.float32]]) -> list[float]:
        there = adaptation.apply(np.stack(strangers))
        photos = adaptation.apply(space.photos("thing-3").vectors)
        return [mean_of_five_nearest(photo, there) for photo in photos]

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
        embedding, probe = space.probes(query, space.query(query))
        np.testing.assert_array_equal(embedding, query)
        np.testing.assert_array_equal(probe, adaptation.query(query).probe)
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


def same_photos(one: LabelPhotos, other: LabelPhotos) -> None:
    """To the bit."""
    assert (one.label, one.prototype_length) == (other.label, other.prototype_length)
    np.testing.assert_array_equal(one.numbers, other.numbers)
    np.testing.assert_array_equal(one.vectors, other.vectors)
    np.testing.assert_array_equal(one.lengths, other.lengths)  # type: ignore[arg-type]  # None where nothing is adapted


def test_photos_measured_beforehand_are_the_same_and_are_not_adapted_again(
    world: World, recognizer: Recognizer, adaptation: Adaptation, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart, recognizer.space = recognizer.space_with(adaptation), recognizer.space_with(adaptation)
    space = recognizer.space
    expected = {label: apart.photos(label) for label in recognizer.labels()}
    looked = []
    while count := space.measure(10):
        looked.append(count)
    assert sum(looked) == len(expected)
    assert max(looked) == 3  # of four photos each
    adapted: list[int] = []
    measured = Adaptation.measured
    monkeypatch.setattr(Adaptation, "measured", lambda self, rows: (adapted.append(len(rows)), measured(self, rows))[1])
    for label, photos in expected.items():
        same_photos(space.photos(label), photos)
    assert adapted == []
    recognizer.upsert([item(900, "thing-3", world.photos(3)[0])])
    recognizer.upsert([item(901, "new", world.photos(5)[0])])
    assert space.measure(10) == 0
    fresh = recognizer.space_with(adaptation)
    for label in ("thing-3", "new"):
        same_photos(space.photos(label), fresh.photos(label))
    assert adapted == [5, 5, 1, 1]


def test_labels_that_went_before_their_turn_are_passed_over(recognizer: Recognizer, adaptation: Adaptation) -> None:
    recognizer.space = recognizer.space_with(adaptation)
    assert recognizer.space.measure(1) == 1
    recognizer.remove(recognizer.index.numbers())
    while recognizer.space.measure(10):
        pass


def test_nothing_is_measured_where_nothing_is_adapted(recognizer: Recognizer) -> None:
    assert recognizer.space_with(None).measure(10) == 0


def test_some_of_a_label_s_photos_are_as_a_label_of_their_own(
    world: World, recognizer: Recognizer, used: Adaptation
) -> None:
    space = recognizer.space_with(used)
    photos = space.photos("thing-3")
    some = space.some_of(photos, np.array([True, False, True, True]))
    alone = Recognizer(DIM, bundle_sha256="b" * 64)
    numbers = [int(number) for number in some.numbers]
    rows = recognizer.index.reconstruct(some.numbers)
    alone.upsert([item(number, "thing-3", row) for number, row in zip(numbers, rows, strict=True)])
    same_photos(some, alone.space_with(used).photos("thing-3"))
    assert space.some_of(photos, np.ones(4, np.bool_)) is photos
    assert len(space.some_of(photos, np.zeros(4, np.bool_)).numbers) == 0


def test_a_photo_taken_as_queries_are_is_compared_as_one(
    world: World, recognizer: Recognizer, used: Adaptation
) -> None:
    query, photo = world.photos(3)[0], world.photos(4)[0]
    for space in (recognizer.space_with(used), recognizer.space_with(None)):
        seen, enrolled = space.query(query), space.enrolled(photo)
        (cosine,) = enrolled.cosines(seen.direction, seen.offset)
        assert cosine == pytest.approx(float(seen.unit @ space.query(photo).unit), abs=1e-6)
        assert enrolled.prototype_length == pytest.approx(1)


def test_learning_the_same_again_forgets_nothing(recognizer: Recognizer, adaptation: Adaptation) -> None:
    def learned(what: Adaptation | None) -> Space:
        recognizer.tuning = None if what is None else replace(tune(recognizer), adaptation=what)
        return recognizer.space

    plain, first = recognizer.space, learned(adaptation)
    assert first is not plain
    again = Adaptation.from_bytes(adaptation.to_bytes(), DIM)
    assert learned(again) is first
    assert learned(centred(adaptation, Centres(*np.zeros((2, DIM), np.float32)))) is not first
    assert learned(None).adaptation is None
    before, other = recognizer.space, FlatIndex(DIM)
    other.add(recognizer.index.numbers(), recognizer.index.reconstruct(recognizer.index.numbers()))
    recognizer.search_by(other)
    assert recognizer.space is not before  # it would look in the engine from before
