from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from training.inference.thresholds import fit_probability_threshold, fit_threshold

LABELS = 7
GRID = [0.95 * step / 120 for step in range(121)]


def _asked(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.integers(0, LABELS + 1, 90)
    scores = random.uniform(0, 0.6, (90, LABELS))
    known = truth < LABELS
    scores[known, truth[known]] += random.uniform(0, 0.35, known.sum())
    return scores, truth.astype(np.int64)


def _map_5(scores: np.ndarray, constant: float, truth: np.ndarray) -> float:
    """One query at a time, in plain Python; of equals the earlier column stands first."""
    total = 0.0
    for row, right in zip(scores.tolist(), truth.tolist(), strict=True):
        order = sorted(range(LABELS + 1), key=lambda at: (-[*row, constant][at], at))
        place = order.index(right)
        total += 1 / (place + 1) if place < 5 else 0.0
    return total / len(truth)


def test_the_threshold_is_the_best_of_the_121() -> None:
    scores, truth = _asked()
    found = fit_threshold(scores, truth)
    figures = [_map_5(scores, constant, truth) for constant in GRID]
    assert found.threshold == pytest.approx(GRID[int(np.argmax(figures))])
    assert found.map_5 == pytest.approx(max(figures))
    assert found.scale is None
    assert min(figures) < max(figures), "the threshold matters"


def test_scale_and_threshold_are_the_best_together() -> None:
    similar, truth = _asked(1)
    logits = 20 * similar
    found = fit_probability_threshold(logits, truth, scales=(0.1, 0.5, 2.0))
    figures = {
        (scale, constant): _map_5(softmax(scale * logits, axis=1), constant, truth)
        for scale in (0.1, 0.5, 2.0)
        for constant in GRID
    }
    assert found.map_5 == pytest.approx(max(figures.values()))
    assert found.scale is not None
    assert figures[found.scale, min(GRID, key=lambda one: abs(one - found.threshold))] == pytest.approx(found.map_5)


def test_a_larger_share_of_strangers_asks_for_more() -> None:
    scores, truth = _asked()
    few, many = (fit_threshold(scores, truth, unknown_share=share).threshold for share in (0.01, 0.9))
    assert few < many
