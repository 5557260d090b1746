"""Galleries calibrate themselves, whatever they have to go by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from index.background import Background
from index.errors import NotCalibratable
from index.labelled import LabelledQueries
from index.recognizer import Recognizer
from index.simulation import Asked, Simulation, samples_of
from index.tuner import tune
from tests.index.conftest import DIM, HiddenWorld, World, item, surface


def rates(recognizer: Recognizer, world: World, known: range, unknown: range) -> tuple[float, float]:
    """Share of photos of known things named rightly, and of unknown ones named at all."""
    right = [recognizer.recognize(world.photos(thing))[0].label == f"thing-{thing}" for thing in known]
    accepted = [recognizer.recognize(world.photos(thing))[0].verdict == "known" for thing in unknown]
    return float(np.mean(right)), float(np.mean(accepted))


def background(world: World, things: range) -> Background:
    photos = np.concatenate([world.photos(thing) for thing in things])
    return Background(photos, np.stack([world.photos(thing, 3) for thing in things]))


def test_several_photos_a_label(world: World, recognizer: Recognizer) -> None:
    recognizer.tuning = tune(recognizer)
    calibration = recognizer.tuning.calibration
    assert (calibration.source, calibration.n_known, calibration.n_unknown) == ("gallery", 80, 80)
    right, accepted = rates(recognizer, world, range(20), range(20, 60))
    assert right == 1.0
    assert accepted == 0.0


def test_one_photo_a_label(world: World) -> None:
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64)
    recognizer.upsert(world.items(range(20), 1, views=2))
    recognizer.tuning = tune(recognizer)
    calibration = recognizer.tuning.calibration
    # 40 re-photographs are known queries; they and the 20 photos are unknown ones with their label left out.
    assert (calibration.source, calibration.n_known, calibration.n_unknown) == ("gallery", 40, 60)
    right, accepted = rates(recognizer, world, range(20), range(20, 60))
    assert right >= 0.8
    assert accepted == 0.0


@pytest.mark.parametrize("labels", [1, 2])
def test_one_label_or_two_ask_the_background(world: World, labels: int) -> None:
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64, background=background(world, range(40, 60)))
    recognizer.upsert(world.items(range(labels), 1, views=2))
    recognizer.tuning = tune(recognizer)
    calibration = recognizer.tuning.calibration
    assert calibration.source == "background"
    right, accepted = rates(recognizer, world, range(labels), range(20, 40))
    assert right == 1.0
    assert accepted == 0.0
    known = [verdict for verdict in recognizer.recognize(world.photos(0, 10)) if verdict.verdict == "known"]
    assert known
    assert all("Add labels or distractors" in verdict.explanation for verdict in known)


def test_one_label_asks_its_own_distractors_first(world: World) -> None:
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64)
    recognizer.upsert(world.items(range(1), 10))
    recognizer.upsert(world.distractors(range(40, 60)))
    recognizer.tuning = tune(recognizer)
    calibration = recognizer.tuning.calibration
    assert (calibration.source, calibration.n_known, calibration.n_unknown) == ("gallery", 10, 20)
    assert rates(recognizer, world, range(1), range(20, 40)) == (1.0, 0.0)


def test_nothing_to_ask(world: World) -> None:
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64)
    recognizer.upsert(world.items(range(1), 1))
    with pytest.raises(NotCalibratable):
        tune(recognizer)


def test_an_enrolled_background_photo_is_no_stranger(world: World) -> None:
    photos = background(world, range(40, 60))
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64, background=photos)
    (enrolled,) = world.items(range(40, 41), 1, views=2)
    recognizer.upsert([replace(enrolled, embedding=photos.photos[0])])
    recognizer.tuning = tune(recognizer)
    calibration = recognizer.tuning.calibration
    assert calibration.n_unknown == 19
    assert rates(recognizer, world, range(40, 41), range(20, 40)) == (1.0, 0.0)


def test_labelled_queries_replace_the_simulation(world: World, recognizer: Recognizer) -> None:
    things = [*range(20), *range(20, 50)]
    queries = np.concatenate([world.photos(thing) for thing in things])
    labelled = LabelledQueries(queries, [f"thing-{thing}" for thing in things])
    calibration = tune(recognizer, labelled=labelled, far_budget=0.05).calibration
    assert (calibration.source, calibration.n_known, calibration.n_unknown) == ("labelled", 20, 30)
    assert calibration.unknown_prior == 0.6
    assert calibration.far_budget == 0.05


def test_calibration_is_reproducible_and_does_not_change_the_gallery(world: World, recognizer: Recognizer) -> None:
    first = tune(recognizer)
    assert recognizer.calibration is None
    assert tune(recognizer).to_parts() == first.to_parts()


# ---------------------------------------------------------------- the questions themselves


def simulation(recognizer: Recognizer) -> Simulation:
    return Simulation(recognizer, lambda _: recognizer.space)


def told(asked: list[Asked]) -> list[tuple[str, str | None]]:
    """What each query shows, and the label that would be right."""
    return [(query.thing, query.label) for query in asked]


def test_a_photo_is_asked_about_without_itself_and_without_its_label(world: World, recognizer: Recognizer) -> None:
    known, unknown = simulation(recognizer).items([14])
    assert told([known, unknown]) == [("thing-3", "thing-3"), ("thing-3", None)]
    (query,) = recognizer.index.reconstruct(np.array([14]))
    own = next(entry for entry in known.ranked.labels if entry.label == "thing-3")
    np.testing.assert_array_equal(own.numbers, [13, 15, 16])
    others = recognizer.index.reconstruct(np.array([13, 15, 16])).astype(np.float64)
    mean = others.mean(axis=0) / np.linalg.norm(others.mean(axis=0))
    # 0.3 of the cosine to the nearest of them and 0.7 of that to their mean: what the gallery would say without it
    assert own.score == pytest.approx(0.3 * (others @ query).max() + 0.7 * mean @ query, abs=1e-6)
    assert {entry.label for entry in unknown.ranked.labels} == {f"thing-{n}" for n in range(20) if n != 3}
    rest = [entry for entry in known.ranked.labels if entry.label != "thing-3"]
    assert [(entry.label, entry.score) for entry in rest] == [
        (entry.label, entry.score) for entry in unknown.ranked.labels
    ]
    assert (known.known, known.right, unknown.known, unknown.right) == (True, True, False, False)


def test_a_label_s_only_photo_is_asked_about_through_its_views(world: World) -> None:
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64)
    recognizer.upsert(world.items(range(5), 1, views=2))
    asked = simulation(recognizer).items([2])
    assert told(asked) == [("thing-1", None), *[("thing-1", "thing-1"), ("thing-1", None)] * 2]
    assert told(simulation(recognizer).items([2], views=False)) == [("thing-1", None)]
    assert told(simulation(recognizer).items([2], verify=True)) == [("thing-1", None)]  # views have no local features
    strangest = asked[0].ranked.labels
    assert {entry.label for entry in strangest} == {"thing-0", "thing-2", "thing-3", "thing-4"}


def test_a_photo_under_two_labels_is_asked_about_without_the_other(world: World, recognizer: Recognizer) -> None:
    (photo,) = world.photos(30)
    recognizer.upsert([item(500, "one name", photo), item(501, "other name", photo)])
    recognizer.upsert([item(502, "one name", world.photos(30)[0])])
    known, unknown = simulation(recognizer).items([500])
    assert known.right
    assert not {"other name"} & {entry.label for entry in known.ranked.labels}
    assert not {"one name", "other name"} & {entry.label for entry in unknown.ranked.labels}
    assert known.ranked.holders == frozenset()  # a question to which the answer lies open teaches nothing


def test_each_label_is_asked_about_in_a_space_of_its_own(recognizer: Recognizer) -> None:
    adapted = HiddenWorld(20).items(range(10), 4)
    tuned = Recognizer(DIM, bundle_sha256="b" * 64)
    tuned.upsert(adapted)
    space = recognizer.space_with(tune(tuned).adaptation)
    plain = recognizer.space
    mixed = Simulation(recognizer, lambda label: space if label == "thing-3" else plain).items([13, 17])
    for asked, alone in (
        (mixed[:2], Simulation(recognizer, lambda _: space).items([13])),
        (mixed[2:], simulation(recognizer).items([17])),
    ):
        assert told(asked) == told(alone)
        for one, other in zip(asked, alone, strict=True):
            assert [entry.score for entry in one.ranked.labels] == [entry.score for entry in other.ranked.labels]
    assert mixed[0].ranked.labels[0].score != simulation(recognizer).items([13])[0].ranked.labels[0].score


def test_a_distractor_does_not_resemble_itself(world: World, recognizer: Recognizer) -> None:
    distractors = world.distractors(range(40, 48))
    recognizer.upsert(distractors)
    asked = simulation(recognizer).distractors(recognizer.space)
    assert told(asked) == [(f"stranger {at}", None) for at in range(8)]
    embeddings = np.stack([distractor.embedding for distractor in distractors]).astype(np.float64)
    for at, query in enumerate(asked):
        others = np.delete(embeddings, at, axis=0) @ embeddings[at]
        assert query.ranked.penalty == pytest.approx(np.sort(others)[-5:].mean(), abs=1e-9)
        assert query.ranked.strange == pytest.approx(np.log(np.exp(40 * others).sum()), abs=1e-9)


def test_background_photos_are_strangers_and_for_a_moment_known(world: World) -> None:
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64, background=background(world, range(40, 44)))
    recognizer.upsert(world.items(range(3), 2))
    recognizer.upsert([item(900, "held", recognizer.background.photos[1])])
    strangers = simulation(recognizer).background(recognizer.space)
    assert told(strangers) == [("stranger 0", None), ("stranger 2", None), ("stranger 3", None)]
    known = simulation(recognizer).background_as_known(recognizer.space)
    assert told(known) == [(f"stranger {at}", "") for at in (0, 2, 3) for _ in range(3)]
    assert all(query.right for query in known)
    assert "" not in recognizer.labels()


def test_labelled_queries_know_what_the_gallery_has(world: World, recognizer: Recognizer) -> None:
    queries = LabelledQueries(np.concatenate([world.photos(3), world.photos(30)]), ["thing-3", "thing-30"])
    known, unknown = simulation(recognizer).labelled(queries, lambda _: recognizer.space)
    assert (known.known, known.right, known.thing) == (True, True, "thing-3")
    assert (unknown.known, unknown.right, unknown.thing) == (False, False, "thing-30")


def test_local_features_are_looked_at_when_asked(world: World) -> None:
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64)
    recognizer.upsert(
        [
            item(3 * thing + place, f"thing-{thing}", photo, local=surface(thing))
            for thing in range(5)
            for place, photo in enumerate(world.photos(thing, 3))
        ]
    )
    plain_known, plain_unknown = simulation(recognizer).items([3])
    known, unknown = simulation(recognizer).items([3], verify=True)
    assert not plain_known.ranked.matches
    assert not plain_unknown.ranked.matches
    assert 3 not in known.ranked.matches  # not with itself
    assert known.ranked.matches[4].inliers > 30
    assert not {3, 4, 5} & set(unknown.ranked.matches)
    assert known.ranked.labels[0].score > plain_known.ranked.labels[0].score
    queries = LabelledQueries(world.photos(1), ["thing-1"], [surface(1)])
    (verified,) = simulation(recognizer).labelled(queries, lambda _: recognizer.space, verify=True)
    (unverified,) = simulation(recognizer).labelled(queries, lambda _: recognizer.space)
    assert verified.ranked.labels[0].score > unverified.ranked.labels[0].score


def test_samples_count_things_not_photos(recognizer: Recognizer) -> None:
    asked = simulation(recognizer).items([1, 2, 5])
    samples = samples_of(asked)
    np.testing.assert_array_equal(samples.known, [True, False] * 3)
    np.testing.assert_array_equal(samples.right, [True, False] * 3)
    things = samples.things.tolist()
    assert (len(set(things)), len(set(things[:4])), len(set(things[4:]))) == (2, 1, 1)
    scores = [query.ranked.labels[0].score for query in asked]
    margins = [query.ranked.labels[0].score - query.ranked.labels[1].score for query in asked]
    np.testing.assert_allclose(samples.evidence.score, scores)
    np.testing.assert_allclose(samples.evidence.margin, margins)
    assert len(samples_of([])) == 0
