"""Galleries calibrate themselves, whatever they have to go by."""

from __future__ import annotations

import numpy as np
import pytest

from index.background import Background
from index.errors import NotCalibratable
from index.recognizer import Recognizer
from index.simulation import LabelledQueries, calibrate
from tests.index.conftest import DIM, World


def rates(recognizer: Recognizer, world: World, known: range, unknown: range) -> tuple[float, float]:
    """Share of photos of known things named rightly, and of unknown ones named at all."""
    right = [recognizer.recognize(world.photos(thing))[0].label == f"thing-{thing}" for thing in known]
    accepted = [recognizer.recognize(world.photos(thing))[0].verdict == "known" for thing in unknown]
    return float(np.mean(right)), float(np.mean(accepted))


def background(world: World, things: range) -> Background:
    photos = np.concatenate([world.photos(thing) for thing in things])
    return Background(photos, np.stack([world.photos(thing, 3) for thing in things]))


def test_several_photos_a_label(world: World, recognizer: Recognizer) -> None:
    calibration = calibrate(recognizer)
    assert (calibration.source, calibration.n_known, calibration.n_unknown) == ("gallery", 80, 80)
    recognizer.calibration = calibration
    right, accepted = rates(recognizer, world, range(20), range(20, 60))
    assert right == 1.0
    assert accepted == 0.0


def test_one_photo_a_label(world: World) -> None:
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64)
    recognizer.upsert(world.items(range(20), 1, views=2))
    calibration = calibrate(recognizer)
    # 40 re-photographs are known queries; they and the 20 photos are unknown ones with their label left out.
    assert (calibration.source, calibration.n_known, calibration.n_unknown) == ("gallery", 40, 60)
    recognizer.calibration = calibration
    right, accepted = rates(recognizer, world, range(20), range(20, 60))
    assert right >= 0.8
    assert accepted == 0.0


@pytest.mark.parametrize("labels", [1, 2])
def test_one_label_or_two_ask_the_background(world: World, labels: int) -> None:
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64, background=background(world, range(40, 60)))
    recognizer.upsert(world.items(range(labels), 1, views=2))
    calibration = calibrate(recognizer)
    assert calibration.source == "background"
    recognizer.calibration = calibration
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
    calibration = calibrate(recognizer)
    assert (calibration.source, calibration.n_known, calibration.n_unknown) == ("gallery", 10, 20)
    recognizer.calibration = calibration
    assert rates(recognizer, world, range(1), range(20, 40)) == (1.0, 0.0)


def test_nothing_to_ask(world: World) -> None:
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64)
    recognizer.upsert(world.items(range(1), 1))
    with pytest.raises(NotCalibratable):
        calibrate(recognizer)


def test_an_enrolled_background_photo_is_no_stranger(world: World) -> None:
    photos = background(world, range(40, 60))
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64, background=photos)
    item = world.items(range(40, 41), 1, views=2)[0]
    recognizer.upsert([type(item)(1, "id1", "thing-40", photos.photos[0], item.views)])
    calibration = calibrate(recognizer)
    assert calibration.n_unknown == 19
    recognizer.calibration = calibration
    assert rates(recognizer, world, range(40, 41), range(20, 40)) == (1.0, 0.0)


def test_labelled_queries_replace_the_simulation(world: World, recognizer: Recognizer) -> None:
    things = [*range(20), *range(20, 50)]
    queries = np.concatenate([world.photos(thing) for thing in things])
    labelled = LabelledQueries(queries, [f"thing-{thing}" for thing in things])
    calibration = calibrate(recognizer, labelled=labelled, far_budget=0.05)
    assert (calibration.source, calibration.n_known, calibration.n_unknown) == ("labelled", 20, 30)
    assert calibration.unknown_prior == 0.6
    assert calibration.far_budget == 0.05


def test_calibration_is_reproducible_and_does_not_change_the_gallery(world: World, recognizer: Recognizer) -> None:
    first = calibrate(recognizer)
    assert recognizer.calibration is None
    assert calibrate(recognizer) == first
