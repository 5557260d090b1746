"""A gallery keeps the parts of the pipeline that answer it better, and no others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from index.background import Background
from index.calibration import fit
from index.errors import NotCalibratable
from index.labelled import LabelledQueries
from index.pipeline import Adaptation, Pipeline
from index.recognizer import Recognizer
from index.simulation import Simulation, samples_of
from index.tuner import UNKNOWN_PRIOR, tune
from index.tuning import Choice
from tests.index.conftest import DIM, HiddenWorld, World, item, surface, unit
from tests.index.galleries import choice, gallery, switched, with_surfaces

# ---------------------------------------------------------------- adaptation


def test_adaptation_is_on_where_it_helps() -> None:
    recognizer = gallery(HiddenWorld(40).items(range(20), 4))
    tuning = tune(recognizer)
    chosen = choice(tuning, "adaptation")
    assert (chosen.used, chosen.why, chosen.queries) == (True, "measured", 80)
    assert chosen.without is not None
    assert chosen.with_ is not None
    assert chosen.with_ > chosen.without + 0.2
    assert tuning.adaptation is not None


def test_adaptation_is_off_where_it_hurts() -> None:
    """Photos of a thing differ in the very directions that tell things apart; elsewhere there is noise alone."""
    random = np.random.default_rng(0)
    photos = [
        unit(np.concatenate([centre + random.standard_normal((4, 16)), 0.2 * random.standard_normal((4, 16))], axis=1))
        for centre in random.standard_normal((20, 16))
    ]
    items = [
        item(4 * thing + place, f"thing-{thing}", photo)
        for thing, own in enumerate(photos)
        for place, photo in enumerate(own)
    ]
    tuning = tune(gallery(items))
    chosen = choice(tuning, "adaptation")
    assert (chosen.used, chosen.why, chosen.queries) == (False, "measured", 80)
    assert chosen.without is not None
    assert chosen.with_ is not None
    assert chosen.with_ < chosen.without
    assert tuning.adaptation is None


def test_adaptation_is_judged_on_labels_that_it_was_not_fitted_on() -> None:
    """Each thing's photos differ in a direction of its own: what that teaches serves this thing and no other."""
    random = np.random.default_rng(0)
    items = []
    for thing in range(16):
        centre = np.concatenate([random.standard_normal(16), np.zeros(16)])
        centre /= np.linalg.norm(centre)
        away = np.eye(DIM)[16 + thing]
        for place, side in enumerate((1.0, -1.0)):
            items.append(item(2 * thing + place, f"thing-{thing}", unit(centre + 1.3 * side * away)))
    recognizer = gallery(items)
    fitted_on_all = recognizer.space_with(tune(gallery(items, switched(adaptation="on"))).adaptation)
    asked = Simulation(recognizer, lambda _: fitted_on_all).items(range(32))
    assert all(query.right for query in asked if query.known)  # it looks good to the photos that it was fitted on
    chosen = choice(tune(recognizer), "adaptation")
    assert (chosen.used, chosen.why, chosen.with_) == (False, "measured", 0.0)


@pytest.mark.parametrize("things", [HiddenWorld(20), World(20)], ids=["would help", "would not"])
@pytest.mark.parametrize("switch", ["on", "off"])
def test_a_pipeline_that_says_so_is_not_asked_about_adaptation(things: World, switch: str) -> None:
    tuning = tune(gallery(things.items(range(20), 3), switched(adaptation=switch)))
    assert choice(tuning, "adaptation") == Choice(part="adaptation", used=switch == "on", why=switch)
    assert (tuning.adaptation is not None) == (switch == "on")


def test_too_few_questions_leave_adaptation_off(world: World) -> None:
    chosen = choice(tune(gallery(world.items(range(3), 2))), "adaptation")  # 6 photos, and 8 are wanted
    assert chosen == Choice(part="adaptation", used=False, why="default")


def test_without_two_photos_of_anything_there_is_nothing_to_adapt_to(world: World) -> None:
    background = Background(
        np.concatenate([world.photos(thing) for thing in range(40, 60)]),
        np.stack([world.photos(thing, 2) for thing in range(40, 60)]),
    )
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64, background=background, pipeline=switched(adaptation="on"))
    recognizer.upsert(world.items(range(10), 1))
    tuning = tune(recognizer)
    assert choice(tuning, "adaptation") == Choice(part="adaptation", used=False, why="default")
    assert tuning.adaptation is None


# ---------------------------------------------------------------- centring


def asked_about(shift: float, things: range) -> LabelledQueries:
    """Photos of the things of a `World(40)`, all moved the same way."""
    moved = [World(40).photos(thing, 5)[3:] + shift * np.eye(DIM, dtype=np.float32)[0] for thing in things]
    labels = [f"thing-{thing}" for thing in things for _ in range(2)]
    return LabelledQueries(unit(np.concatenate(moved)), labels)


def test_centring_is_on_where_queries_lie_elsewhere() -> None:
    """Some things are enrolled by photos that were moved too, and draw every query to them."""
    items = World(40).items(range(20), 3)
    drawn = [
        replace(
            one, embedding=unit(one.embedding + (0.8 if one.label in {"thing-0", "thing-1"} else 0) * np.eye(DIM)[0])
        )
        for one in items
    ]
    recognizer = gallery(drawn, switched(adaptation="off"))
    tuning = tune(recognizer, labelled=asked_about(1.5, range(40)))
    chosen = choice(tuning, "centring")
    assert (chosen.used, chosen.why, chosen.queries) == (True, "measured", 40)
    assert chosen.without is not None
    assert chosen.with_ is not None
    assert chosen.with_ > chosen.without
    assert tuning.adaptation is not None
    assert tuning.adaptation.centres is not None
    queries = asked_about(1.5, range(40)).embeddings
    np.testing.assert_allclose(tuning.adaptation.centres.queries, queries.mean(axis=0), atol=1e-6)


def test_centring_is_off_where_it_changes_nothing() -> None:
    recognizer = gallery(World(40).items(range(20), 3))
    chosen = choice(tune(recognizer, labelled=asked_about(0.0, range(40))), "centring")
    assert (chosen.used, chosen.why) == (False, "measured")


def test_centring_needs_queries() -> None:
    recognizer = gallery(World(40).items(range(20), 3))
    assert choice(tune(recognizer), "centring") == Choice(part="centring", used=False, why="default")
    recognizer = gallery(World(40).items(range(20), 3), Pipeline(adaptation=Adaptation(centring="on")))
    with pytest.raises(NotCalibratable, match="labelled queries"):
        tune(recognizer)


def test_known_queries_alone_calibrate() -> None:
    """With their label left out they are strangers, as many as they are."""
    recognizer = gallery(World(40).items(range(20), 3))
    calibration = tune(recognizer, labelled=asked_about(0.0, range(20))).calibration
    assert (calibration.source, calibration.n_known, calibration.n_unknown) == ("labelled", 40, 40)
    assert calibration.unknown_prior == UNKNOWN_PRIOR


def test_known_queries_alone_calibrate_for_the_share_of_strangers_that_is_given() -> None:
    recognizer = gallery(World(40).items(range(20), 3), Pipeline(unknown_share=0.1))
    assert tune(recognizer, labelled=asked_about(0.0, range(20))).calibration.unknown_prior == 0.1


# ---------------------------------------------------------------- verification


def test_verification_is_on_where_it_helps() -> None:
    """Embeddings name three photos of four; all photos of a thing share their surface."""
    recognizer = gallery(with_surfaces(World(60, noise=0.3).items(range(10), 3), lambda thing, _: thing))
    tuning = tune(recognizer)
    chosen = choice(tuning, "verification")
    assert (chosen.used, chosen.why, chosen.queries) == (True, "measured", 30)
    assert chosen.without is not None
    assert chosen.with_ is not None
    assert chosen.without < 0.8
    assert chosen.with_ > 0.9
    assert tuning.verification


def test_verification_is_off_where_it_misleads() -> None:
    """A photo shares its surface with a photo of the next thing, and with none of its own thing."""
    recognizer = gallery(with_surfaces(World(60, noise=0.3).items(range(10), 3), lambda thing, at: (thing + at) % 10))
    chosen = choice(tune(recognizer), "verification")
    assert (chosen.used, chosen.why) == (False, "measured")
    assert chosen.without is not None
    assert chosen.with_ is not None
    assert chosen.with_ < chosen.without


def test_verification_is_off_where_known_things_come_off_with_less_confidence() -> None:
    """The same with embeddings that are right every time: matches lift the wrong labels, though none to the top."""
    recognizer = gallery(with_surfaces(World(60).items(range(10), 3), lambda thing, at: (thing + at) % 10))
    expected = Choice(part="verification", used=False, why="measured", without=1.0, with_=1.0, queries=30)
    assert choice(tune(recognizer), "verification") == expected


def test_verification_is_off_where_strangers_match() -> None:
    """Things share their surface two by two: known things come off no worse, but each one's twin would be mistaken for
    it if it were not there."""
    recognizer = gallery(with_surfaces(World(60, noise=0.2).items(range(10), 3), lambda thing, _: thing // 2))
    tuning = tune(recognizer)
    chosen = choice(tuning, "verification")
    assert (chosen.used, chosen.why, chosen.without, chosen.with_) == (False, "measured", 1.0, 1.0)
    assert not tuning.verification


def test_labels_of_one_photo_ask_about_strangers_alone() -> None:
    items = World(60, noise=0.2).items(range(8), 1, views=2)
    own = tune(gallery(with_surfaces(items, lambda thing, _: thing)))
    assert choice(own, "verification") == Choice(part="verification", used=True, why="measured")
    shared = tune(gallery(with_surfaces(items, lambda thing, _: thing // 2)))
    assert choice(shared, "verification") == Choice(part="verification", used=False, why="measured")


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_verification_is_off_without_texture(mode: str) -> None:
    """The middle photo has fewer than 32 features: 31 do not make a surface."""
    items = World(60).items(range(10), 3)
    pipeline = switched(verification=mode)
    expected = Choice(part="verification", used=False, why="measured")
    assert choice(tune(gallery(items, pipeline)), "verification") == expected
    smooth = [replace(photo, local=surface(photo.number, 31).to_bytes()) for photo in items]
    assert choice(tune(gallery(smooth, pipeline)), "verification") == expected
    half = [*smooth[:14], *with_surfaces(items, lambda thing, _: thing)[14:]]
    assert choice(tune(gallery(half, pipeline)), "verification").used


@pytest.mark.parametrize("mode", ["on", "off"])
@pytest.mark.parametrize("share", [1, 2], ids=["would help", "would not"])
def test_a_pipeline_that_says_so_is_not_asked_about_verification(mode: str, share: int) -> None:
    items = with_surfaces(World(60, noise=0.2).items(range(10), 3), lambda thing, _: thing // share)
    tuning = tune(gallery(items, switched(verification=mode)))
    assert choice(tuning, "verification") == Choice(part="verification", used=mode == "on", why=mode)
    assert tuning.verification == (mode == "on")


def test_one_photo_alone_is_verified_by_default(world: World) -> None:
    background = Background(
        np.concatenate([world.photos(thing) for thing in range(40, 60)]),
        np.stack([world.photos(thing, 2) for thing in range(40, 60)]),
    )
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64, background=background)
    recognizer.upsert(with_surfaces(world.items(range(1), 1), lambda thing, _: thing))
    assert choice(tune(recognizer), "verification") == Choice(part="verification", used=True, why="default")


# ---------------------------------------------------------------- calibration


def test_the_gallery_s_calibration_is_fitted_on_its_own_questions(world: World, recognizer: Recognizer) -> None:
    recognizer.upsert(world.distractors(range(40, 60)))
    plain = recognizer.space
    asked = Simulation(recognizer, lambda _: plain).items(recognizer.index.numbers().tolist())
    expected = fit(samples_of(asked), far_budget=recognizer.far_budget, source="gallery", unknown_prior=UNKNOWN_PRIOR)
    tuning = tune(recognizer)
    assert tuning.adaptation is None
    assert tuning.calibration == expected


def test_the_share_of_strangers_that_is_given_moves_confidences_and_lets_no_more_in() -> None:
    """A gallery whose labels lie so close that neither it nor anybody else is sure."""
    items = World(60, noise=0.6).items(range(30), 4)
    half, few = (gallery(items, Pipeline(unknown_share=share)) for share in (None, 0.1))
    asked = samples_of(Simulation(half, lambda _: half.space).items(half.index.numbers().tolist()))
    strangers = asked.evidence.where(~asked.known)
    assert len(strangers.matrix()) > 50
    wary, trusting = tune(half).calibration, tune(few).calibration
    assert (wary.unknown_prior, trusting.unknown_prior) == (UNKNOWN_PRIOR, 0.1)
    assert trusting.confidences(asked.evidence).mean() > 1.5 * wary.confidences(asked.evidence).mean()
    accepted = [(fitted.confidences(strangers) >= fitted.threshold).mean() for fitted in (wary, trusting)]
    assert abs(accepted[0] - accepted[1]) <= 0.02


def test_confidence_is_fitted_on_labels_that_the_adaptation_has_not_seen() -> None:
    """To its own photos an adaptation looks better than it will to new ones."""
    recognizer = gallery(HiddenWorld(40).items(range(20), 4))
    tuning = tune(recognizer)
    assert tuning.adaptation is not None
    seen = recognizer.space_with(tuning.adaptation)
    asked = Simulation(recognizer, lambda _: seen).items(recognizer.index.numbers().tolist())
    flattered = fit(samples_of(asked), far_budget=recognizer.far_budget, source="gallery", unknown_prior=UNKNOWN_PRIOR)
    assert tuning.calibration != flattered
    chosen = choice(tuning, "adaptation")
    assert chosen.with_ is not None
    assert chosen.with_ < float(np.mean([query.right for query in asked if query.known]))


def test_matches_among_labels_of_one_photo_never_lower_the_threshold() -> None:
    items = with_surfaces(World(60, noise=0.2).items(range(8), 1, views=2), lambda thing, _: thing // 2)
    on, off = (tune(gallery(items, switched(verification=mode))).calibration for mode in ("on", "off"))
    assert on.threshold >= off.threshold
    threshold = {"threshold": off.threshold, "far_interval": off.far_interval}
    assert on.model_copy(update=threshold) == off


def test_tuned_twice_is_the_same_and_changes_nothing() -> None:
    recognizer = gallery(with_surfaces(HiddenWorld(40).items(range(12), 3), lambda thing, _: thing))
    first = tune(recognizer)
    assert recognizer.tuning is None
    assert first.adaptation is not None
    assert first.verification
    assert tune(recognizer).to_parts() == first.to_parts()
    recognizer.tuning = first  # what is in use has no say in what is learned
    assert tune(recognizer).to_parts() == first.to_parts()


def test_a_budget_of_its_own(recognizer: Recognizer) -> None:
    assert tune(recognizer).calibration.far_budget == recognizer.far_budget
    lenient = tune(recognizer, far_budget=0.2).calibration
    assert lenient.far_budget == 0.2
    assert lenient.threshold <= tune(recognizer).calibration.threshold


def test_an_empty_gallery_learns_nothing(world: World) -> None:
    recognizer = gallery([])
    with pytest.raises(NotCalibratable):
        tune(recognizer)
    recognizer.upsert(world.distractors(range(10)))
    with pytest.raises(NotCalibratable):
        tune(recognizer)
