from __future__ import annotations

import numpy as np
import pytest

from index.errors import NotCalibratable
from training.inference.temperature import fit_temperature, negative_log_likelihood, probabilities


def _drawn(temperature: float, n: int = 4000, classes: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels that are drawn from their softmax at a temperature: that temperature is the true one."""
    random = np.random.default_rng(0)
    logits = 3 * random.standard_normal((n, classes))
    gumbel = random.gumbel(size=logits.shape)
    return logits, (logits / temperature + gumbel).argmax(1)


@pytest.mark.parametrize("true", [0.4, 1.0, 3.0])
def test_the_temperature_that_labels_were_drawn_with_is_found(true: float) -> None:
    logits, truth = _drawn(true)
    assert fit_temperature(logits, truth) == pytest.approx(true, rel=0.08)


def test_no_other_temperature_is_likelier() -> None:
    logits, truth = _drawn(2.2, n=300)
    found = fit_temperature(logits, truth)
    grid = np.exp(np.linspace(-2, 3, 2001))
    best = min(negative_log_likelihood(logits, truth, one) for one in grid)
    assert negative_log_likelihood(logits, truth, found) <= best + 1e-9
    assert grid[np.argmin([negative_log_likelihood(logits, truth, one) for one in grid])] == pytest.approx(
        found, rel=5e-3
    )


def test_the_likelihood_by_hand() -> None:
    scores, truth = np.array([[1.0, 3.0], [0.0, 0.0]]), np.array([1, 0])
    by_hand = (np.log1p(np.exp(-(3.0 - 1.0) / 2)) + np.log(2)) / 2
    assert negative_log_likelihood(scores, truth, 2.0) == pytest.approx(by_hand)
    assert probabilities(scores, 2.0)[0, 1] == pytest.approx(1 / (1 + np.exp(-1)))


def test_photos_that_are_all_right_end_within_the_bounds() -> None:
    assert 0.01 <= fit_temperature(np.array([[9.0, 0.0]]), np.array([0])) < 0.7


def test_no_photo_gives_no_temperature() -> None:
    with pytest.raises(NotCalibratable, match="none"):
        fit_temperature(np.zeros((0, 3)), np.zeros(0, np.int64))
