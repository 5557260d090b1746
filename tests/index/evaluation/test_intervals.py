"""Intervals against known values, and what must hold for all."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.evaluation.intervals import bootstrap_interval, clopper_pearson


def test_clopper_pearson_has_closed_forms_at_the_ends():
    assert clopper_pearson(0, 30) == (0.0, pytest.approx(1 - 0.025 ** (1 / 30)))
    assert clopper_pearson(30, 30) == (pytest.approx(0.025 ** (1 / 30)), 1.0)


def test_clopper_pearson_as_tabled():
    assert clopper_pearson(5, 10) == (pytest.approx(0.1871, abs=5e-5), pytest.approx(0.8129, abs=5e-5))


def test_nothing_tried_nothing_known():
    assert clopper_pearson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("arguments", [(3, 2), (-1, 2), (1, 2, 1.0)])
def test_impossible_counts(arguments):
    with pytest.raises(ValueError, match="successes"):
        clopper_pearson(*arguments)


@given(st.integers(0, 200), st.integers(0, 200))
def test_the_rate_lies_inside(successes, failures):
    trials = successes + failures
    low, high = clopper_pearson(successes, trials)
    assert 0 <= low <= (successes / trials if trials else 0.5) <= high <= 1


def test_bootstrap_of_a_mean_is_near_the_normal_interval():
    values = np.random.default_rng(1).normal(5, 1, 400)
    low, high = bootstrap_interval(lambda at: float(values[at].mean()), 400, samples=500)
    half = 1.96 * values.std() / math.sqrt(400)
    assert (low, high) == (
        pytest.approx(values.mean() - half, abs=half / 4),
        pytest.approx(values.mean() + half, abs=half / 4),
    )
    assert (low, high) == bootstrap_interval(lambda at: float(values[at].mean()), 400, samples=500)


def test_bootstrap_without_a_defined_value():
    assert all(map(math.isnan, bootstrap_interval(lambda at: 1.0, 0)))
    assert all(map(math.isnan, bootstrap_interval(lambda at: math.nan, 5, samples=10)))
