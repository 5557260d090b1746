"""From which score on a label is told rather than "unknown", where the unknown is ranked like any label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from index.evaluation.metrics import map_at_k
from index.ranking.whale import SCALES, class_probabilities, fit_blend

__all__ = ["RankedUnknown", "fit_probability_threshold", "fit_threshold"]

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RankedUnknown:
    """The unknown as one more label of a constant score.

    Attributes:
        threshold: that score.
        scale: by which logits are multiplied before the softmax; None where scores are taken as they are.
        map_5: MAP@5 on the queries that it was fitted on, so an optimistic figure.
    """

    threshold: float
    scale: float | None
    map_5: float


def fit_threshold(scores: Floats, truth: Labels, *, unknown_share: float | None = None) -> RankedUnknown:
    """The constant of the 121 between 0 and .95 that has the best MAP@5 beside scores of labels.

    Source: `find_new_whale_th` of ducha-aiki/whale-identification-2018, in `index.ranking.whale`.

    Args:
        scores: (q, L) of 0..1, larger is better: similarities, or probabilities.
        truth: (q,) labels; L for a query of an unknown thing.
        unknown_share: share of unknown queries to expect in use; None takes that of `truth`.

    Raises:
        NotCalibratable: no query of a known or none of an unknown thing.
    """
    with_unknown = np.concatenate([scores, np.zeros((len(scores), 1))], axis=1)
    found = fit_blend(with_unknown, np.zeros_like(scores), truth, unknown_share=unknown_share, scales=(1.0,))
    return RankedUnknown(found.similarity_threshold, None, _map_5(scores, found.similarity_threshold, truth))


def fit_probability_threshold(
    logits: Floats, truth: Labels, *, unknown_share: float | None = None, scales: tuple[float, ...] = SCALES
) -> RankedUnknown:
    """The scale of the logits and the constant beside their probabilities that together have the best MAP@5.

    Source: `find_softmax_coef` of ducha-aiki/whale-identification-2018, in `index.ranking.whale`. Its author also names
    0.5, 0.75, 1, 1.5, 2 and 2.2 as scales to try.

    Args:
        logits: (q, L).
        truth, unknown_share: see `fit_threshold`.
        scales: to try.

    Raises:
        NotCalibratable: see `fit_threshold`.
    """
    nothing = np.zeros((len(logits), logits.shape[1] + 1))
    found = fit_blend(nothing, logits, truth, unknown_share=unknown_share, scales=scales)
    scores = class_probabilities(logits, found.scale)
    return RankedUnknown(found.probability_threshold, found.scale, _map_5(scores, found.probability_threshold, truth))


def _map_5(scores: Floats, threshold: float, truth: Labels) -> float:
    beside = np.concatenate([scores, np.full((len(scores), 1), threshold)], axis=1)
    ranked = np.argsort(-beside, axis=1, kind="stable")[:, :5]
    return map_at_k([str(one) for one in truth], [[str(one) for one in row] for row in ranked])
