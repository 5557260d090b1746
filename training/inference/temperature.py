"""One number by which class scores are divided before the softmax, so that a probability of .8 is right 8 times in 10.

Another aim, the best ranking with "unknown" among the labels, has another search: `index.ranking.whale`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from index.errors import NotCalibratable

__all__ = ["BOUNDS", "fit_temperature", "negative_log_likelihood", "probabilities"]

Floats = NDArray[np.floating]

BOUNDS = (0.01, 100.0)
"""Temperatures that are searched. Photos that are all answered rightly would have any set to nought."""


def probabilities(scores: Floats, temperature: float = 1.0) -> NDArray[np.float64]:
    """``softmax(scores / temperature)`` of (n, classes)."""
    return np.asarray(softmax(scores.astype(np.float64) / temperature, axis=-1), np.float64)


def negative_log_likelihood(scores: Floats, truth: NDArray[np.integer], temperature: float = 1.0) -> float:
    """Mean of -log probability of the right class, in nats.

    Args:
        scores: (n, classes).
        truth: (n,) numbers of classes.
        temperature: T.
    """
    scaled = scores.astype(np.float64) / temperature
    return float((logsumexp(scaled, axis=1) - scaled[np.arange(len(truth)), truth]).mean())


def fit_temperature(scores: Floats, truth: NDArray[np.integer]) -> float:
    """The temperature with the least negative log-likelihood on photos that were not trained on.

    Found by L-BFGS over log T from T = 1. Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017,
    section 4.2.

    Args:
        scores: (n, classes).
        truth: (n,) numbers of classes.

    Raises:
        NotCalibratable: no photo.
    """
    if not len(truth):
        raise NotCalibratable("a temperature needs photos of known classes that were not trained on; there are none")
    wide = scores.astype(np.float64)
    own = wide[np.arange(len(truth)), truth]

    def value(log_temperature: NDArray[np.float64]) -> float:
        factor = math.exp(-float(log_temperature[0]))
        return float((logsumexp(wide * factor, axis=1) - own * factor).mean())

    def slope(log_temperature: NDArray[np.float64]) -> NDArray[np.float64]:
        factor = math.exp(-float(log_temperature[0]))
        expected = (softmax(wide * factor, axis=1) * wide).sum(1)
        return np.array([-factor * (expected - own).mean()])

    bounds = [(math.log(BOUNDS[0]), math.log(BOUNDS[1]))]
    found = minimize(
        value, np.zeros(1), jac=slope, method="L-BFGS-B", bounds=bounds, options={"gtol": 1e-9, "ftol": 0.0}
    )
    return math.exp(float(found.x[0]))
