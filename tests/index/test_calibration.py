from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import beta, binom

from index.calibration import Calibration, Evidence, Samples, fit, threshold_logit
from index.errors import NotCalibratable


def drawn(n: int, seed: int = 0, *, unknown: float = 0.5) -> Samples:
    """Queries whose chance of being right is a logistic function of the score, and unknown ones that score lower. Those
    that are right have wider margins and larger shares."""
    random = np.random.default_rng(seed)
    known = random.random(n) >= unknown
    score = np.where(known, random.normal(0.6, 0.15, n), random.normal(0.3, 0.15, n))
    right = known & (random.random(n) < 1 / (1 + np.exp(-20 * (score - 0.4))))
    margin = np.where(right, random.gamma(2, 0.05, n), random.gamma(1, 0.02, n))
    share = -np.where(right, random.exponential(0.3, n), random.exponential(1.0, n))
    return Samples(Evidence(score, margin, np.zeros(n), share), known, right, np.arange(n))


def weights(calibration: Calibration) -> tuple[float, float, float, float]:
    return (
        calibration.score_weight,
        calibration.margin_weight,
        calibration.penalty_weight,
        calibration.share_weight,
    )


def test_confidence_is_the_share_that_is_right() -> None:
    train, test = drawn(4000, seed=1), drawn(4000, seed=2)
    confidences = fit(train, far_budget=0.05, source="gallery").confidences(test.evidence)
    for part in np.array_split(np.argsort(confidences), 8):
        assert confidences[part].mean() == pytest.approx(test.right[part].mean(), abs=0.05)


@pytest.mark.parametrize("budget", [0.01, 0.02, 0.05])
def test_strangers_keep_to_the_budget(budget: float) -> None:
    calibration = fit(drawn(6000, seed=1), far_budget=budget, source="gallery")
    assert calibration.threshold_kind == "counted"
    test = drawn(20_000, seed=2, unknown=1.0)
    accepted = calibration.confidences(test.evidence) >= calibration.threshold
    assert accepted.mean() == pytest.approx(budget, rel=0.35)


def test_few_strangers_keep_to_the_budget_on_average() -> None:
    """With 40 strangers nobody can count a hundredth; the extrapolated threshold must hold all the same."""
    test = drawn(5000, seed=99, unknown=1.0)
    rates = []
    for seed in range(40):
        calibration = fit(drawn(80, seed=seed), far_budget=0.01, source="gallery")
        assert calibration.threshold_kind == "extrapolated"
        rates.append((calibration.confidences(test.evidence) >= calibration.threshold).mean())
    assert np.mean(rates) <= 0.01


def test_photos_of_few_things_count_for_less_than_photos_of_many() -> None:
    logits = np.random.default_rng(0).normal(size=1000)
    counted, kind = threshold_logit(logits, 0.01, things=1000)
    assert kind == "counted"
    wary, kind = threshold_logit(logits, 0.01, things=20)
    assert kind == "extrapolated"
    assert wary > counted


def test_tolerance_limit_by_the_published_table() -> None:
    """Hahn and Meeker, table A.12b: for 20 values, 99 % of a normal population, confidence 90 %: factor 3.052."""
    logits = np.linspace(-1, 1, 20)
    logits /= logits.std()
    assert threshold_logit(logits, 0.01, things=20)[0] == pytest.approx(3.052, abs=0.002)


def test_nothing_is_known_that_is_more_likely_wrong_than_right() -> None:
    assert fit(drawn(4000), far_budget=0.9, source="gallery").threshold == 0.5


def test_confidence_never_falls_with_better_evidence() -> None:
    calibration = fit(drawn(300), far_budget=0.01, source="gallery")
    rising = np.linspace(-0.5, 1, 50)
    still = np.zeros(50)
    assert (np.diff(calibration.confidences(Evidence(rising, still, still, still))) >= 0).all()
    assert (np.diff(calibration.confidences(Evidence(still, rising, still, still))) >= 0).all()
    assert (np.diff(calibration.confidences(Evidence(still, still, rising, still))) <= 0).all()
    assert (np.diff(calibration.confidences(Evidence(still, still, still, rising))) >= 0).all()


def test_a_logit_by_hand() -> None:
    calibration = fit(drawn(300), far_budget=0.01, source="gallery").model_copy(
        update={
            "score_weight": 5.0,
            "margin_weight": 4.0,
            "penalty_weight": 3.0,
            "share_weight": 2.0,
            "intercept": -1.0,
        }
    )
    one = Evidence(*(np.array([value]) for value in (0.6, 0.1, 0.2, -0.5)))
    logit = -1.0 + 5 * 0.6 + 4 * 0.1 - 3 * 0.2 + 2 * -0.5
    assert calibration.logits(one)[0] == pytest.approx(logit)
    assert calibration.confidences(one)[0] == pytest.approx(1 / (1 + np.exp(-logit)))


def test_evidence_joins_and_parts() -> None:
    one = Evidence(*(np.array([value, value + 1]) for value in (0.0, 10.0, 20.0, 30.0)))
    other = one.where(np.array([False, True]))
    joined = Evidence.join([one, other])
    np.testing.assert_array_equal(joined.matrix(), [[0, 10, -20, 30], [1, 11, -21, 31], [1, 11, -21, 31]])
    assert Evidence.join([]).matrix().shape == (0, 4)


def test_further_strangers_shape_the_threshold_and_nothing_else() -> None:
    samples = drawn(400)
    unlike = drawn(400, seed=5, unknown=1.0)
    raised = Evidence(
        unlike.evidence.score + 0.2, unlike.evidence.margin, unlike.evidence.penalty, unlike.evidence.share
    )
    more = Samples(raised, unlike.known, unlike.right, unlike.things + 400)
    alone = fit(samples, far_budget=0.05, source="labelled")
    both = fit(samples, far_budget=0.05, source="labelled", strangers=more)
    assert (weights(both), both.intercept, both.n_unknown) == (weights(alone), alone.intercept, alone.n_unknown)
    assert both.threshold > alone.threshold


@pytest.mark.parametrize(("lift", "raised"), [(0.3, True), (-0.3, False)])
def test_harder_strangers_raise_the_threshold_and_easier_ones_leave_it(lift: float, raised: bool) -> None:
    samples = drawn(400)
    others = drawn(400, seed=5, unknown=1.0)
    evidence = others.evidence
    moved = Evidence(evidence.score + lift, evidence.margin, evidence.penalty, evidence.share)
    strangers = Samples(moved, others.known, others.right, others.things + 400)
    alone = fit(samples, far_budget=0.05, source="gallery")
    apart = fit(samples, far_budget=0.05, source="gallery", strangers=strangers, apart=True)
    assert weights(apart) == weights(alone)
    assert (apart.threshold > alone.threshold) is raised
    if raised:
        assert (apart.confidences(moved) >= apart.threshold).mean() <= 0.1  # the tail is a fit, not a count
    else:
        assert apart.threshold == alone.threshold


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**16), st.integers(4, 60))
def test_weights_are_never_negative_and_confidences_are_probabilities(seed: int, n: int) -> None:
    random = np.random.default_rng(seed)
    known = np.arange(n) % 2 == 0
    noise = Samples(Evidence(*random.standard_normal((4, n))), known, known & (random.random(n) < 0.5), np.arange(n))
    calibration = fit(noise, far_budget=0.01, source="gallery")
    assert min(weights(calibration)) >= 0
    confidences = calibration.confidences(noise.evidence)
    assert ((confidences >= 0) & (confidences <= 1)).all()


def test_features_that_say_nothing_get_no_weight() -> None:
    samples = drawn(500)
    calibration = fit(samples, far_budget=0.01, source="gallery", use_margin=False)
    assert calibration.margin_weight == 0
    assert calibration.share_weight == 0
    assert calibration.penalty_weight == 0
    assert calibration.score_weight > 0
    assert fit(samples, far_budget=0.01, source="gallery").share_weight > 0


def test_the_prior_of_strangers_lowers_confidence() -> None:
    samples = drawn(500)
    few, many = (fit(samples, far_budget=0.01, source="gallery", unknown_prior=p) for p in (0.1, 0.9))
    # Two fits with weights of their own may cross where both confidences are next to nothing.
    assert (many.confidences(samples.evidence) <= few.confidences(samples.evidence) + 1e-4).all()
    assert many.confidences(samples.evidence).mean() < few.confidences(samples.evidence).mean() - 0.05


@pytest.mark.parametrize(("n", "budget"), [(60, 0.01), (2000, 0.05)])
def test_the_interval_of_the_false_accept_rate(n: int, budget: float) -> None:
    """Clopper and Pearson: the rates at which as many, or as few, accepted strangers would have a chance of 2.5 %."""
    samples = drawn(n)
    calibration = fit(samples, far_budget=budget, source="gallery")
    strangers = samples.evidence.where(~samples.known)
    accepted = int((calibration.confidences(strangers) >= calibration.threshold).sum())
    low, high = calibration.far_interval
    total = calibration.n_unknown
    assert binom.sf(accepted - 1, total, low) == pytest.approx(0.025 if accepted else 1.0)
    assert binom.cdf(accepted, total, high) == pytest.approx(0.025)
    assert low <= budget  # the threshold may be stricter than the budget asks, never more lenient


def test_more_photos_of_the_same_strangers_tell_no_more_about_others() -> None:
    """The interval goes by things: ten times the photos of as many things leave it as it is."""
    samples = drawn(300)
    many = Samples(
        Evidence.join([samples.evidence] * 10),
        known=np.tile(samples.known, 10),
        right=np.tile(samples.right, 10),
        things=np.tile(samples.things, 10),
    )
    few, repeated = (fit(each, far_budget=0.05, source="labelled") for each in (samples, many))
    share = [
        float((c.confidences(samples.evidence.where(~samples.known)) >= c.threshold).mean()) for c in (few, repeated)
    ]
    things = few.n_unknown
    for calibration, accepted in zip((few, repeated), share, strict=True):
        low, high = calibration.far_interval
        assert low == pytest.approx(beta.ppf(0.025, accepted * things, things - accepted * things + 1))
        assert high == pytest.approx(beta.ppf(0.975, accepted * things + 1, things - accepted * things))


def test_one_sided_queries_cannot_calibrate() -> None:
    samples = drawn(20, unknown=0.0)
    with pytest.raises(NotCalibratable, match="20 known and 0 unknown"):
        fit(samples, far_budget=0.01, source="labelled")


def test_json_round_trip_keeps_every_digit() -> None:
    calibration = fit(drawn(100), far_budget=0.01, source="gallery")
    assert Calibration.model_validate(json.loads(calibration.model_dump_json())) == calibration


def test_counted_threshold_by_hand() -> None:
    logits: NDArray[np.float64] = np.arange(100, dtype=np.float64)
    # A new stranger falls into each of the 101 gaps with equal chance; the 5 gaps above 95 hold 5 / 101 <= 5 %.
    threshold, kind = threshold_logit(logits, 0.05, things=100)
    assert kind == "counted"
    assert 95 < threshold < 95.001
    assert (logits >= threshold).sum() == 4


def test_extrapolated_threshold_lies_above_all_and_rises_as_the_budget_falls() -> None:
    logits = np.random.default_rng(0).normal(size=30)
    thresholds = [threshold_logit(logits, budget, things=30)[0] for budget in (0.05, 0.01, 0.001)]
    assert thresholds == sorted(thresholds)
    assert thresholds[1] > np.quantile(logits, 0.95)
    assert threshold_logit(np.array([0.0]), 0.01, things=1)[0] > 0


def test_easier_strangers_of_the_gallery_do_not_lower_the_threshold() -> None:
    """As they are where the bundle was trained on the gallery's photos."""
    samples, easy = drawn(400, seed=1), drawn(400, seed=2, unknown=1.0)
    evidence = replace(easy.evidence, score=easy.evidence.score - 0.3)
    strangers = replace(easy, evidence=evidence, things=easy.things + 10_000)
    alone = fit(samples, far_budget=0.05, source="labelled")
    pooled = fit(samples, far_budget=0.05, source="labelled", strangers=strangers)
    unknown = samples.evidence.where(~samples.known)
    accepted = [float((each.confidences(unknown) >= each.threshold).mean()) for each in (alone, pooled)]
    assert accepted[1] == pytest.approx(0.05, abs=0.03)
    assert pooled.threshold == pytest.approx(alone.threshold, abs=0.1)
