"""Within-label whitening, in closed form: `index.adaptation` fitted for a whole bundle rather than for a gallery."""

from __future__ import annotations

import numpy as np

from index.adaptation import WithinLabelScatter, fit_adaptation
from training.adapt.features import Features
from training.adapt.trial import Map

__all__ = ["SHRINKAGES", "fit_whitening"]

SHRINKAGES = (0.1, 0.3, 0.6)
"""Shares of the identity that are tried."""


def fit_whitening(features: Features, shrinkage: float) -> Map:
    """S^(-1/2) of the shrunk within-label covariance, (d, d).

    Of a label with one photo, its views count as photos. Where there are real second photos views would only blur what
    those say: on the grocery set's validation photos they cost two points of R@1.

    Args:
        features: photos with labels, among them two of one label, or views; without either nothing is learned.
        shrinkage: share of the identity, above 0, at most 1.
    """
    dim = features.vectors.shape[1]
    groups = (
        features.vectors[own] if len(own) > 1 else np.concatenate([features.vectors[own], features.views[own[0]]])
        for own in features.places().values()
    )
    found = fit_adaptation(WithinLabelScatter.of(groups, dim), shrinkage)
    return np.eye(dim, dtype=np.float32) if found is None else found.matrix
