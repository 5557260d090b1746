"""Metrics of open-set recognition as pure functions of NumPy arrays.

A *truth* is the query's label, a collection of labels that would all be right, or None for a photo of an
unknown thing. A *prediction* is a label, or None for an abstention. Where a figure is undefined (no query,
one side empty) it is nan, never an error: a report of a small set must still print.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Truth",
    "auroc",
    "average_precision",
    "detection_identification_rate",
    "expected_calibration_error",
    "false_accept_rate",
    "fpr_at_tpr",
    "gap",
    "is_right",
    "map_at_k",
    "precision_recall",
    "reliability",
    "roc_curve",
    "threshold_at_far",
    "top_k_accuracy",
]

Floats: TypeAlias = NDArray[np.float64]
Truth: TypeAlias = str | Collection[str] | None

NAN = float("nan")


def is_right(truth: Truth, predicted: str | None) -> bool:
    """Whether a prediction names the truth, or one of several. None is never right here; see `map_at_k`."""
    if truth is None or predicted is None:
        return False
    return predicted == truth if isinstance(truth, str) else predicted in truth


# ---------------------------------------------------------------- one answer a query, ranked by confidence


def precision_recall(confidence: ArrayLike, correct: ArrayLike, n_labelled: int) -> tuple[Floats, Floats]:
    """Precision and recall after each prediction, most confident first; ties keep the order given.

    Args:
        confidence: (n,) of the predictions made.
        correct: (n,) booleans.
        n_labelled: M, the queries that have a right answer at all, predicted on or not.

    Returns:
        Two (n,) arrays. Recall is nan where M is 0.
    """
    scores = _finite(confidence)
    hits = np.asarray(correct, dtype=bool)
    _same_length(scores, hits)
    cumulated = np.cumsum(hits[np.argsort(-scores, kind="stable")])
    ranks = np.arange(1, len(scores) + 1)
    recall = cumulated / n_labelled if n_labelled else np.full(len(scores), NAN)
    return cumulated / ranks, recall


def average_precision(confidence: ArrayLike, correct: ArrayLike, n_labelled: int) -> float:
    """``(1 / M) * sum over ranks i of precision(i) * correct(i)``: `gap` on arrays. nan for M = 0."""
    if n_labelled == 0:
        return NAN
    precision, _ = precision_recall(confidence, correct, n_labelled)
    order = np.argsort(-np.asarray(confidence, dtype=np.float64), kind="stable")
    return float(precision[np.asarray(correct, dtype=bool)[order]].sum() / n_labelled)


def gap(
    truth: Sequence[Truth],
    predicted: Sequence[str | None],
    confidence: ArrayLike,
    keys: Sequence[str] | None = None,
) -> float:
    """Global average precision, also micro-AP: the official measure of the Google Landmarks challenges.

    Sort all predictions (at most one a query) by confidence, best first. ``GAP = (1 / M) * sum_i P(i) *
    rel(i)``, with P(i) the precision among the first i predictions, rel(i) 1 where the i-th is right, M the
    queries that have a label. A query of an unknown thing never enters M, but a prediction on it takes a
    rank and is wrong. An abstention (None) takes no rank.

    Source: Perronnin et al., "A family of contextual measures of similarity between distributions" (CVPR
    2009); Weyand et al., "Google Landmarks Dataset v2" (CVPR 2020), section 4.2. Tie order as in the
    challenge's reference implementation: confidence descending, then query key ascending, then label
    ascending.

    Args:
        truth: (n,) see the module's docstring.
        predicted: (n,) label or None.
        confidence: (n,) any finite numbers; ignored where the prediction is None.
        keys: (n,) the queries' names, used for ties alone; the order given when absent.

    Returns:
        0..1; nan when no query has a label.

    Raises:
        ValueError: lengths that differ, or a confidence that is not finite.
    """
    scores = np.asarray(confidence, dtype=np.float64)
    if not len(truth) == len(predicted) == len(scores) or (keys is not None and len(keys) != len(scores)):
        raise ValueError(
            f"one of each a query: {len(truth)} truths, {len(predicted)} predictions, {len(scores)} scores"
        )
    answered = [i for i, label in enumerate(predicted) if label is not None]
    if keys is not None:
        answered.sort(key=lambda i: (keys[i], predicted[i] or ""))
    correct = [is_right(truth[i], predicted[i]) for i in answered]
    n_labelled = sum(one is not None and len(one) > 0 for one in truth)
    return average_precision(scores[answered], correct, n_labelled)


# ---------------------------------------------------------------- a ranked list a query


def map_at_k(truth: Sequence[Truth], ranked: Sequence[Sequence[str | None]], k: int = 5) -> float:
    """Mean of 1 / rank of the right answer among the first k, 0 where it is not there.

    "Unknown" may be a ranked answer, as in the whale challenge (its class ``new_whale``): None stands for
    it, both as truth and in the list. With one right answer a query, this is the challenge's MAP@k. nan
    without queries.
    """
    return _mean([_reciprocal_rank(one, answers, k) for one, answers in _pairs(truth, ranked)])


def top_k_accuracy(truth: Sequence[Truth], ranked: Sequence[Sequence[str | None]], k: int = 1) -> float:
    """Share of queries whose right answer stands among the first k. nan without queries."""
    return _mean([_reciprocal_rank(one, answers, k) > 0 for one, answers in _pairs(truth, ranked)])


def _reciprocal_rank(truth: Truth, ranked: Sequence[str | None], k: int) -> float:
    for rank, answer in enumerate(ranked[:k], 1):
        if is_right(truth, answer) or (truth is None and answer is None):
            return 1.0 / rank
    return 0.0


# ---------------------------------------------------------------- two populations of scores


def auroc(positive: ArrayLike, negative: ArrayLike) -> float:
    """Area under the ROC: ``P(positive > negative) + P(positive = negative) / 2`` (Mann-Whitney U / (n * m)).

    Here the positives are usually known queries answered rightly, the negatives queries of unknown things.

    Returns:
        0..1; nan when either side is empty.
    """
    high, low = _finite(positive), np.sort(_finite(negative))
    if not len(high) or not len(low):
        return NAN
    below = np.searchsorted(low, high, side="left").sum()
    not_above = np.searchsorted(low, high, side="right").sum()
    return float((below + not_above) / (2 * len(high) * len(low)))


def roc_curve(positive: ArrayLike, negative: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """False positive rate, true positive rate and threshold, "accept at or above"; from (0, 0) at +inf to
    (1, 1).

    Returns:
        Three arrays of equal length; a rate whose side is empty is nan throughout.
    """
    high, low = np.sort(_finite(positive)), np.sort(_finite(negative))
    thresholds = np.concatenate([[np.inf], np.unique(np.concatenate([high, low]))[::-1]])
    return _share_at_or_above(low, thresholds), _share_at_or_above(high, thresholds), thresholds


def fpr_at_tpr(positive: ArrayLike, negative: ArrayLike, tpr: float = 0.95) -> float:
    """Share of negatives accepted at the highest threshold that accepts at least `tpr` of the positives.

    Hendrycks & Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution Examples" (ICLR
    2017), as FPR95. nan when either side is empty.
    """
    high, low = np.sort(_finite(positive))[::-1], _finite(negative)
    if not len(high) or not len(low):
        return NAN
    needed = max(1, int(np.ceil(tpr * len(high) - 1e-9)))  # the epsilon: 0.95 * 20 must be 19, not 20
    return float(np.mean(low >= high[needed - 1]))


def false_accept_rate(unknown_confidence: ArrayLike, threshold: float) -> float:
    """Share of queries of unknown things at or above the threshold. nan without any."""
    return _mean(_finite(unknown_confidence) >= threshold)


def threshold_at_far(unknown_confidence: ArrayLike, far: float) -> float:
    """The confidence that must be *exceeded* for at most `far` of the unknown queries to be accepted.

    -inf when all may be accepted; nan without unknown queries.
    """
    low = np.sort(_finite(unknown_confidence))[::-1]
    if not len(low):
        return NAN
    allowed = int(np.floor(far * len(low) + 1e-9))
    return float(low[allowed]) if allowed < len(low) else float("-inf")


def detection_identification_rate(
    known_confidence: ArrayLike, known_correct: ArrayLike, unknown_confidence: ArrayLike, far: float = 0.01
) -> float:
    """Share of the known queries that are both answered rightly and accepted, at a false-accept rate of at
    most `far`.

    Phillips, Grother & Micheals, "Evaluation Methods in Face Recognition", in Handbook of Face Recognition
    (2011), section 21.3 (open-set identification). The threshold is set on these very unknown queries, so
    the figure ranks systems; it does not promise a rate in use. nan when either side is empty.
    """
    scores, hits = _finite(known_confidence), np.asarray(known_correct, dtype=bool)
    _same_length(scores, hits)
    threshold = threshold_at_far(unknown_confidence, far)
    if np.isnan(threshold):
        return NAN
    return _mean(hits & (scores > threshold))


# ---------------------------------------------------------------- does a confidence of .8 mean right 8
# times in 10?


def reliability(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> tuple[Floats, Floats, Floats]:
    """Mean confidence, accuracy and count of each bin; bins of equal mass, equal confidences never parted.

    Returns:
        Three arrays, as long as there are non-empty bins (at most `bins`).
    """
    scores, hits = _finite(confidence), np.asarray(correct, dtype=np.float64)
    _same_length(scores, hits)
    if not len(scores):
        return np.empty(0), np.empty(0), np.empty(0)
    first_of_run = np.searchsorted(np.sort(scores), scores, side="left")  # ties share it, so they share a bin
    which = first_of_run * bins // len(scores)
    count = np.bincount(which, minlength=bins)
    held = count > 0
    mean_confidence = np.bincount(which, weights=scores, minlength=bins)[held] / count[held]
    accuracy = np.bincount(which, weights=hits, minlength=bins)[held] / count[held]
    return mean_confidence, accuracy, count[held].astype(np.float64)


def expected_calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> float:
    """``sum over bins of (n_b / n) * |accuracy_b - mean confidence_b|`` over equal-mass bins.

    Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning" (AAAI 2015); equal mass
    as in Nguyen & O'Connor (EMNLP 2015), whose estimate does not hinge on near-empty bins.

    Returns:
        0..1 for confidences of 0..1; nan without queries.
    """
    mean_confidence, accuracy, count = reliability(confidence, correct, bins)
    if not len(count):
        return NAN
    return float((np.abs(accuracy - mean_confidence) * count).sum() / count.sum())


# ---------------------------------------------------------------- checks and small steps


def _finite(values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError("scores must be one row of finite numbers")
    return array


def _same_length(scores: Floats, hits: NDArray[np.generic]) -> None:
    if scores.shape != hits.shape:
        raise ValueError(f"one score a query: {scores.shape[0]} scores for {hits.shape} outcomes")


def _pairs(truth: Sequence[Truth], ranked: Sequence[Sequence[str | None]]) -> list[tuple[Truth, Sequence[str | None]]]:
    return list(zip(truth, ranked, strict=True))


def _mean(values: ArrayLike) -> float:
    array = np.asarray(values, dtype=np.float64)
    return float(array.mean()) if len(array) else NAN


def _share_at_or_above(ascending: Floats, thresholds: Floats) -> Floats:
    if not len(ascending):
        return np.full(len(thresholds), NAN)
    return (len(ascending) - np.searchsorted(ascending, thresholds, side="left")) / len(ascending)
