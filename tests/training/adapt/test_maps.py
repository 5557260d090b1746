"""Ways to fit a map, how maps are judged, and which is taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

from tests.training.adapt.given import DIM, NUISANCE, features  # noqa: E402
from training.adapt.choosing import Candidate, Outcome, better, candidates, try_all  # noqa: E402
from training.adapt.features import Features  # noqa: E402
from training.adapt.head import HeadSpec, fit_head  # noqa: E402
from training.adapt.trial import apply, folds, judge, tried  # noqa: E402
from training.adapt.whitening import fit_whitening  # noqa: E402
from training.errors import PhotosUnusable  # noqa: E402
from training.losses.triplet import BatchHardTripletSpec  # noqa: E402

pytestmark = pytest.mark.torch

FAST = HeadSpec(steps=120, batch=64, lr=0.01, tether=0.1, share=1.0)


def test_whitening_is_the_inverse_root_of_the_shrunk_scatter() -> None:
    given = features(strangers=0)
    rows = given.vectors.astype(np.float64)
    scatter = np.zeros((DIM, DIM))
    for label in set(given.labels):
        own = rows[[one == label for one in given.labels]]
        scatter += (own - own.mean(0)).T @ (own - own.mean(0))
    covariance = scatter / (len(rows) - 16)
    shrunk = 0.7 * covariance + 0.3 * np.trace(covariance) / DIM * np.eye(DIM)
    found = fit_whitening(given, 0.3).astype(np.float64)
    product = found @ shrunk @ found.T
    np.testing.assert_allclose(product / product[0, 0], np.eye(DIM), atol=1e-4)
    assert np.linalg.norm(found[:, :NUISANCE], axis=0).max() < np.linalg.norm(found[:, NUISANCE:], axis=0).min()


def test_views_stand_in_where_a_label_has_one_photo() -> None:
    given = features(labels=8, photos=1, strangers=0)
    nothing = fit_whitening(given, 0.3)
    np.testing.assert_array_equal(nothing, np.eye(DIM, dtype=np.float32))
    random = np.random.default_rng(3)
    views = given.vectors[:, None] + 0.5 * random.standard_normal((8, 3, DIM)).astype(np.float32)
    with_views = Features(given.names, given.labels, given.vectors, views)
    as_photos = Features(
        tuple(f"{name}{at}" for name in given.names for at in range(4)),
        tuple(np.repeat(given.labels, 4)),
        np.concatenate([given.vectors[:, None], views], axis=1).reshape(-1, DIM),
        np.zeros((32, 0, DIM), np.float32),
    )
    np.testing.assert_allclose(fit_whitening(with_views, 0.3), fit_whitening(as_photos, 0.3), atol=1e-6)
    several = features(labels=8, photos=3, strangers=0)
    viewed = replace(several, views=np.ones((24, 2, DIM), np.float32))
    np.testing.assert_array_equal(fit_whitening(several, 0.3), fit_whitening(viewed, 0.3))


def test_every_label_is_unseen_once_and_nothing_asked_is_fitted_on() -> None:
    given = features(labels=13, photos=5)
    divided = list(folds(given))
    unseen = [set(fold.unseen_asked.labels) for fold in divided]
    assert sorted(label for some in unseen for label in some) == sorted(set(given.labels) - {""})
    for fold in divided:
        parts = (fold.fitted, fold.asked, fold.unseen_enrolled, fold.unseen_asked, fold.strangers)
        names = [name for part in parts for name in part.names]
        assert sorted(names) == sorted(given.names), "each photo serves one end"
        assert not set(fold.fitted.labels) & set(fold.unseen_enrolled.labels)
        assert set(fold.asked.labels) == set(fold.fitted.labels)
        assert set(fold.unseen_asked.labels) == set(fold.unseen_enrolled.labels)
        assert set(fold.strangers.labels) == {""}


def test_what_is_asked_about_is_a_block_by_name() -> None:
    given = features(labels=8, photos=10, strangers=0)
    for number, fold in enumerate(folds(given)):
        own = [name for name, label in zip(given.names, given.labels, strict=True) if label == "thing 0"]
        asked = [own.index(name) for part in (fold.asked, fold.unseen_asked) for name in part.names if name in own]
        assert asked == list(range(asked[0], asked[0] + 3)), number


def test_figures_are_those_of_the_nearest_photo_by_hand() -> None:
    given = features(labels=10, photos=4)
    fold = next(iter(folds(given)))
    found = judge(None, fold)

    def nearest(query: np.ndarray, *galleries: Features) -> tuple[str, float]:
        rows = [(float(query @ row), label) for one in galleries for row, label in zip(one.vectors, one.labels)]  # noqa: B905
        return max(rows)[1], max(rows)[0]

    everything = (fold.fitted, fold.unseen_enrolled)
    for asked, value in ((fold.asked, found.seen), (fold.unseen_asked, found.unseen)):
        right = [nearest(row, *everything)[0] == label for row, label in zip(asked.vectors, asked.labels, strict=True)]
        assert value == pytest.approx(np.mean(right))
    known = [
        (nearest(row, fold.fitted), label) for row, label in zip(fold.asked.vectors, fold.asked.labels, strict=True)
    ]
    high = [similarity for (answer, similarity), label in known if answer == label]
    low = [
        nearest(row, fold.fitted)[1]
        for part in (fold.unseen_enrolled, fold.unseen_asked, fold.strangers)
        for row in part.vectors
    ]
    pairs = [(a > b) + (a == b) / 2 for a in high for b in low]
    assert found.auroc == pytest.approx(np.mean(pairs))


def test_a_map_that_does_nothing_changes_nothing() -> None:
    given = features()
    np.testing.assert_allclose(apply(np.eye(DIM, dtype=np.float32), given.vectors), given.vectors, atol=1e-6)
    divided = list(folds(given))
    np.testing.assert_array_equal(tried(lambda _: np.eye(DIM, dtype=np.float32), divided), tried(None, divided))


@pytest.mark.parametrize("loss", [FAST.loss, BatchHardTripletSpec()])
def test_a_head_finds_what_tells_labels_apart(loss: object) -> None:
    given = features(nuisance=1.0)
    spec = FAST.model_copy(update={"loss": loss})
    fold = next(iter(folds(given)))
    before, after = judge(None, fold), judge(fit_head(fold.fitted, spec), fold)
    assert after.seen > before.seen + 0.1
    assert after.unseen >= before.unseen


def test_a_head_is_the_same_for_the_same_seed_and_leaves_chance_alone() -> None:
    given = features()
    state = torch.get_rng_state()
    first, again, other = (fit_head(given, FAST.model_copy(update={"seed": seed, "steps": 5})) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert torch.equal(state, torch.get_rng_state())


def test_a_share_lies_on_the_way_from_the_start() -> None:
    given, start = features(), fit_whitening(features(), 0.3)
    whole, half = (
        fit_head(given, FAST.model_copy(update={"steps": 10, "share": share}), start) for share in (1.0, 0.5)
    )
    np.testing.assert_allclose(half, (start + whole) / 2, atol=1e-6)


def test_a_tether_holds_the_head_where_it_began() -> None:
    given = features()
    free, held = (
        np.linalg.norm(fit_head(given, FAST.model_copy(update={"tether": tether})) - np.eye(DIM))
        for tether in (0.0, 100.0)
    )
    assert held < free / 3


def test_a_loud_nuisance_is_taken_away() -> None:
    found = better(try_all(list(candidates("whitening")), list(folds(features()))))
    assert found is not None
    assert found.gains.seen > 0.1
    assert found.gains.unseen > 0.1
    assert found.mean.seen == pytest.approx(np.mean(found.before[:, 0]) + found.gains.seen)


def test_what_is_told_apart_already_is_left_as_it_is() -> None:
    """No direction is a nuisance here, and most photos are answered rightly: a map can but bend what is straight."""
    for seed in range(4):
        easy = features(labels=16, photos=6, nuisance=0.0, signal=1.5, seed=seed)
        assert better(try_all(list(candidates("whitening")), list(folds(easy)))) is None


def test_what_hurts_one_figure_is_not_taken_however_much_it_gains() -> None:
    before = np.full((5, 3), 0.5)
    nothing = Candidate("", lambda one: np.eye(one.vectors.shape[1], dtype=np.float32))
    gains = np.array([0.3, -0.006, 0.3]) + 0.001 * np.arange(5)[:, None] * np.array([1, 0, 1])
    assert Outcome(nothing, before + gains, before).hurts
    assert better([Outcome(nothing, before + gains, before)]) is None
    allowed = Outcome(nothing, before + gains + np.array([0, 0.002, 0]), before)
    assert better([allowed]) is allowed


def test_a_gain_within_chance_is_not_taken() -> None:
    before = np.full((5, 3), 0.5)
    nothing = Candidate("", lambda one: np.eye(one.vectors.shape[1], dtype=np.float32))
    swings = np.array([0.2, -0.15, 0.1, -0.12, 0.05])[:, None] * np.ones(3)
    chance = Outcome(nothing, before + swings, before)
    by_hand = swings[:, 0].std(ddof=1) / np.sqrt(5)
    assert chance.error == pytest.approx(by_hand)
    assert chance.gain == pytest.approx(0.016)
    assert not chance.is_better


def test_too_few_labels_are_refused() -> None:
    with pytest.raises(PhotosUnusable, match=r"7 label.*needs 8"):
        list(folds(features(labels=7)))
