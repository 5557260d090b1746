from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.background import Background
from index.errors import DimensionMismatch
from index.items import Item
from index.pipeline import Pipeline, Ranking
from index.recognizer import Recognizer
from index.tuner import tune
from index.verification import FeaturesCorrupt
from tests.index.conftest import DIM, NO_VIEWS, World


def test_known_things_are_known_and_strangers_unknown(world: World, recognizer: Recognizer) -> None:
    recognizer.tuning = tune(recognizer)
    for thing in range(20):
        (verdict,) = recognizer.recognize(world.photos(thing))
        assert (verdict.verdict, verdict.label, verdict.reason) == ("known", f"thing-{thing}", "confident")
        assert verdict.confidence >= verdict.threshold
    for thing in range(20, 60):
        (verdict,) = recognizer.recognize(world.photos(thing))
        assert (verdict.verdict, verdict.label, verdict.reason) == ("unknown", None, "below_threshold")
        assert len(verdict.candidates) == 5


def test_candidates_are_ordered_and_name_the_photos_that_voted(world: World, recognizer: Recognizer) -> None:
    recognizer.tuning = tune(recognizer)
    (verdict,) = recognizer.recognize(world.photos(3), top_k=3)
    assert len(verdict.candidates) == 3
    scores = [candidate.score for candidate in verdict.candidates]
    assert scores == sorted(scores, reverse=True)
    assert sum(candidate.confidence for candidate in verdict.candidates[:2]) <= 1
    similarities = [item.similarity for item in verdict.candidates[0].items]
    assert similarities == sorted(similarities, reverse=True)
    assert {item.id for item in verdict.candidates[0].items} == {f"id{n}" for n in range(13, 17)}


def test_two_labels_of_one_thing_are_too_close_to_call(world: World) -> None:
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64)
    items = world.items(range(20), 4)
    recognizer.upsert(items)
    recognizer.tuning = tune(recognizer)
    twin = [Item(900 + at, f"t{at}", "twin", photo, NO_VIEWS) for at, photo in enumerate(world.photos(5, 4))]
    recognizer.upsert(twin)
    verdicts = [recognizer.recognize(photo[None])[0] for photo in world.photos(5, 20)]
    assert {verdict.verdict for verdict in verdicts} == {"ambiguous"}
    assert {verdict.reason for verdict in verdicts} == {"too_close"}
    assert {c.label for v in verdicts for c in v.candidates[:2]} == {"thing-5", "twin"}


def test_an_empty_gallery_and_an_uncalibrated_one(world: World, recognizer: Recognizer) -> None:
    empty = Recognizer(DIM, bundle_sha256="b" * 64)
    (verdict,) = empty.recognize(world.photos(0))
    assert (verdict.verdict, verdict.reason, verdict.candidates, verdict.confidence) == (
        "unknown", "empty_gallery", (), 0.0,
    )  # fmt: skip
    (verdict,) = recognizer.recognize(world.photos(0))
    assert (verdict.verdict, verdict.reason, verdict.candidates[0].label) == ("unknown", "not_calibrated", "thing-0")


def test_alone_or_together_to_the_bit(world: World, recognizer: Recognizer) -> None:
    recognizer.upsert(world.distractors(range(40, 60)))
    recognizer.tuning = tune(recognizer)
    queries = np.concatenate([world.photos(thing) for thing in range(40)])
    together = recognizer.recognize(queries)
    assert together == [recognizer.recognize(query[None])[0] for query in queries]


def test_relabel_reembed_and_remove(world: World, recognizer: Recognizer) -> None:
    recognizer.upsert([Item(1, "id1", "renamed", world.photos(30)[0], NO_VIEWS)])
    assert recognizer.labels()["thing-0"] == 3
    assert recognizer.labels()["renamed"] == 1
    assert recognizer.recognize(world.photos(30))[0].candidates[0].label == "renamed"
    recognizer.remove([1, 2, 3, 4, 12345])
    assert "thing-0" not in recognizer.labels()
    assert "renamed" not in recognizer.labels()
    assert len(recognizer) == 76
    found = {c.label for c in recognizer.recognize(world.photos(0), top_k=100)[0].candidates}
    assert found == {f"thing-{n}" for n in range(1, 20)}


def test_an_item_becomes_a_distractor_and_back(world: World, recognizer: Recognizer) -> None:
    item = Item(1, "id1", None, world.photos(0)[0], NO_VIEWS)
    recognizer.upsert([item])
    assert (len(recognizer), recognizer.n_distractors) == (79, 1)
    recognizer.upsert([Item(1, "id1", "thing-0", item.embedding, NO_VIEWS)])
    assert (len(recognizer), recognizer.n_distractors) == (80, 0)


def test_a_wrong_width_changes_nothing(world: World, recognizer: Recognizer) -> None:
    wrong = Item(2, "id2", "x", np.ones(DIM + 1, np.float32), NO_VIEWS)
    with pytest.raises(DimensionMismatch, match="id2"):
        recognizer.upsert([Item(1, "id1", "x", world.photos(0)[0], NO_VIEWS), wrong])
    assert "x" not in recognizer.labels()


def test_corrupt_local_features_change_nothing(world: World, recognizer: Recognizer) -> None:
    before = (recognizer.labels(), recognizer.index.numbers().tolist())
    good = Item(1, "id1", "x", world.photos(0)[0], NO_VIEWS)
    with pytest.raises(FeaturesCorrupt):
        recognizer.upsert([good, Item(500, "id500", "y", world.photos(1)[0], NO_VIEWS, b"no features")])
    assert (recognizer.labels(), recognizer.index.numbers().tolist()) == before


def test_penalty_is_the_mean_of_the_five_nearest_distractors(world: World, recognizer: Recognizer) -> None:
    distractors = world.distractors(range(30, 50))
    recognizer.upsert(distractors)
    query = world.photos(31)
    cosines = np.sort([float(query[0] @ item.embedding) for item in distractors])
    assert recognizer.recognize(query)[0].penalty == pytest.approx(cosines[-5:].mean(), abs=1e-6)


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 2**16))
def test_the_order_of_enrolment_changes_no_answer(seed: int) -> None:
    world = World(12, seed=seed)
    items = world.items(range(8), 3)
    queries = np.concatenate([world.photos(thing) for thing in range(12)])
    answers = []
    for order in (items, items[::-1]):
        recognizer = Recognizer(DIM, bundle_sha256="b" * 64)
        for item in order:
            recognizer.upsert([item])
        recognizer.tuning = tune(recognizer)
        answers.append(recognizer.recognize(queries))
    assert answers[0] == answers[1]


def test_an_enrolled_photo_is_known_however_unlike_the_others_of_its_label(world: World) -> None:
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64)
    recognizer.upsert(world.items(range(20), 4))
    odd = world.photos(50)  # looks like nothing else, not even like the rest of its label
    recognizer.upsert([Item(500, "odd", "thing-7", odd[0], NO_VIEWS)])
    recognizer.tuning = tune(recognizer)
    (verdict,) = recognizer.recognize(odd)
    assert (verdict.verdict, verdict.label, verdict.reason) == ("known", "thing-7", "same_photo")
    assert verdict.threshold <= verdict.confidence < 1
    for number in recognizer.index.numbers().tolist():
        (verdict,) = recognizer.recognize(recognizer.index.reconstruct(np.array([number])))
        assert (verdict.verdict, verdict.label) == ("known", recognizer.table.label(number))


def test_a_photo_under_two_labels_is_ambiguous_and_disturbs_nothing_else(world: World, recognizer: Recognizer) -> None:
    photo, views = world.photos(30), world.photos(30, 2)
    recognizer.upsert([Item(500, "one", "one name", photo[0], views)])
    before = tune(recognizer).calibration
    recognizer.upsert([Item(501, "other", "other name", photo[0], views)])
    recognizer.tuning = tune(recognizer)
    (verdict,) = recognizer.recognize(photo)
    assert (verdict.verdict, verdict.reason, verdict.label) == ("ambiguous", "too_close", None)
    assert [candidate.label for candidate in verdict.candidates[:2]] == ["one name", "other name"]
    assert verdict.confidence == pytest.approx(0.5, abs=1e-4)
    assert recognizer.recognize(photo, top_k=1)[0].verdict == "ambiguous"
    # Taken for a stranger with only one of its names left out, the photo would find itself and raise the threshold.
    assert recognizer.calibration is not None
    assert recognizer.calibration.threshold == pytest.approx(before.threshold, abs=0.01)


def test_two_labels_alone_with_the_same_photo(world: World) -> None:
    background = Background(
        np.concatenate([world.photos(n) for n in range(40, 60)]), np.stack([world.photos(n, 3) for n in range(40, 60)])
    )
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64, background=background)
    photo = world.photos(0)
    recognizer.upsert([Item(number, f"id{number}", f"label-{number}", photo[0], NO_VIEWS) for number in (1, 2)])
    recognizer.tuning = tune(recognizer)
    assert recognizer.recognize(photo)[0].verdict == "ambiguous"


def test_share_is_a_softmax_over_labels_and_distractors(world: World, recognizer: Recognizer) -> None:
    recognizer.upsert(world.distractors(range(30, 50)))
    query = world.photos(3)[0]
    ranked = recognizer.rank(query)
    evidence = ranked.evidence()
    scores = np.array([entry.score for entry in ranked.labels])
    strangers = recognizer.distractors.matrix().astype(np.float64) @ query
    every = np.exp(40 * scores).sum() + np.exp(40 * strangers).sum()
    np.testing.assert_allclose(evidence.share, np.log(np.exp(40 * scores) / every), atol=1e-9)
    assert np.exp(evidence.share).sum() < 1
    np.testing.assert_allclose(evidence.margin[0], scores[0] - scores[1])
    np.testing.assert_allclose(evidence.margin[1:], scores[1:] - scores[0])
    np.testing.assert_allclose(evidence.penalty, np.sort(strangers)[-5:].mean())
    best = ranked.best_evidence()
    assert [column.tolist() for column in best.columns()] == [[column[0]] for column in evidence.columns()]


def test_shares_add_up_to_one_without_distractors(recognizer: Recognizer) -> None:
    ranked = recognizer.rank(recognizer.index.reconstruct(np.array([1]))[0])
    assert ranked.strange == -np.inf
    assert np.exp(ranked.evidence().share).sum() == pytest.approx(1)


def test_scores_that_lie_far_apart_are_no_trouble() -> None:
    """The sum over forty photos puts one label so far ahead that what is left for the others comes to 0."""
    world = World(5)
    pipeline = Pipeline(ranking=Ranking(aggregation="top_k_sum", k=40))
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64, pipeline=pipeline)
    recognizer.upsert(world.items(range(1), 40))
    recognizer.upsert(world.items(range(1, 5), 2, first=100))
    recognizer.tuning = tune(recognizer)
    (verdict,) = recognizer.recognize(world.photos(0))
    assert verdict.label == "thing-0"
