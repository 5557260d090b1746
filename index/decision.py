"""From candidates with confidences to a verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from embedding.quality import Defect
from index.calibration import CERTAIN, Calibration, Evidence
from index.verdict import Candidate, Reason, Verdict, VerdictName

__all__ = ["confidences_of", "decide", "empty_gallery", "nothing_matches", "same_photo", "unusable"]


_LEAST_SHARE = 1e-9
_LEAST_NUMBER = float(np.finfo(np.float64).tiny)

_CAUTION = (
    " The gallery is too small to tell strangers of its own kind: the threshold comes from photos of other kinds. "
    "Add labels or distractors to rely on it."
)


def confidences_of(
    evidence: Evidence, calibration: Calibration | None, holds: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Probability that each label is the right one, (n,); 0 before the first calibration.

    Args:
        evidence: of each label, best first.
        holds: (n,) whether the label has this very photo: what is certain goes to those that do, in equal parts.
    """
    if calibration is None:
        return np.zeros(len(evidence.score))
    if holds.any():
        return np.where(holds, CERTAIN / holds.sum(), 1 - CERTAIN)
    confidences = calibration.confidences(evidence)
    # One photo shows one label: what the best candidate has, the others cannot have; nor can they have more than it.
    confidences[1:] = np.minimum(confidences[1:], np.minimum(confidences[:1], 1 - confidences[:1]))
    return confidences


def decide(
    candidates: tuple[Candidate, ...],
    evidence: Evidence,
    calibration: Calibration | None,
    penalty: float,
    far_budget: float,
) -> Verdict:
    """Weigh the best candidate, and the one behind it.

    - `known` when the best candidate's confidence reaches the threshold;
    - but `ambiguous` when the runner-up stands nearer to it than right answers leave their rivals, and would itself be
      known if the best were not there, or either of them would be if the two were one label;
    - `unknown` otherwise.

    Args:
        candidates: best first, at least one.
        evidence: of every ranked label, best first; may be longer than `candidates`.
        calibration: None before the first one.
        penalty: the query's.
        far_budget: to report when there is no calibration.
    """
    best = candidates[0]
    if calibration is None:
        sentence = f"The nearest label is {best.label!r}, but this gallery has not been calibrated yet."
        return Verdict("unknown", "not_calibrated", sentence, candidates, penalty, 1.0, far_budget)
    threshold = calibration.threshold
    verdict: VerdictName
    reason: Reason
    pair = _Pair.of(evidence, calibration)
    close = pair if pair is not None and pair.margin < calibration.close_margin else None
    if close is not None and close.runner_up >= threshold:
        verdict, reason, sentence = "ambiguous", "too_close", _either(candidates)
    elif best.confidence >= threshold:
        verdict, reason = "known", "confident"
        sentence = f"{best.label!r}: confidence {best.confidence:.2f} reaches the threshold {threshold:.2f}."
        if calibration.source == "background":
            sentence += _CAUTION
    elif close is not None and close.either >= threshold:
        verdict, reason, sentence = "ambiguous", "too_close", _either(candidates)
    else:
        verdict, reason = "unknown", "below_threshold"
        sentence = (
            f"The nearest label is {best.label!r}, but confidence {best.confidence:.2f} is below the "
            f"threshold {threshold:.2f}."
        )
    return Verdict(verdict, reason, sentence, candidates, penalty, threshold, calibration.far_budget)


def same_photo(candidates: tuple[Candidate, ...], holders: int, calibration: Calibration, penalty: float) -> Verdict:
    """The verdict on a photo that the gallery itself holds: nothing is left to estimate.

    `known`, whatever the label's other photos look like; `ambiguous` when several labels hold it.

    Args:
        candidates: best first; the labels that hold the photo stand before all others.
        holders: how many labels hold it, at least one.
    """
    verdict: VerdictName = "known" if holders == 1 else "ambiguous"
    reason: Reason = "same_photo" if holders == 1 else "too_close"
    if holders == 1:
        sentence = f"{candidates[0].label!r}: the gallery holds this very photo."
    elif len(candidates) > 1:
        sentence = f"The gallery holds this very photo under {holders} labels, such as {_two(candidates)}."
    else:
        sentence = f"The gallery holds this very photo under {holders} labels."
    return Verdict(verdict, reason, sentence, candidates, penalty, calibration.threshold, calibration.far_budget)


def empty_gallery(far_budget: float) -> Verdict:
    """The verdict of a gallery without items."""
    return Verdict("unknown", "empty_gallery", "This gallery has no photos yet.", (), 0.0, 1.0, far_budget)


def nothing_matches(calibration: Calibration | None, far_budget: float) -> Verdict:
    """The verdict where a filter leaves no photo to compare with.

    Args:
        calibration: the gallery's; None before the first one.
        far_budget: to report when there is no calibration.
    """
    sentence = "No photo of this gallery matches the filter, so there is nothing to compare with."
    threshold, budget = (1.0, far_budget) if calibration is None else (calibration.threshold, calibration.far_budget)
    return Verdict("unknown", "nothing_matches_filter", sentence, (), 0.0, threshold, budget)


def unusable(verdict: Verdict, defect: Defect) -> Verdict:
    """The verdict on a photo that shows too little, in place of the one its embedding alone would get.

    The candidates stay, for whoever wants to look at them.
    """
    return replace(verdict, verdict="unknown", reason="unusable_photo", explanation=defect.sentence)


@dataclass(frozen=True, slots=True)
class _Pair:
    """The two best labels: what separates them, and confidences that leave one of them out of the comparison.

    Attributes:
        margin: score of the best minus that of the runner-up.
        either: confidence that one of the two is right.
        runner_up: confidence of the runner-up if the best were not in the gallery.
    """

    margin: float
    either: float
    runner_up: float

    @classmethod
    def of(cls, evidence: Evidence, calibration: Calibration) -> _Pair | None:
        """None with fewer than three labels: then nothing is left to compare a pair with."""
        if len(evidence.score) < 3:
            return None
        second_behind, third_behind = evidence.margin[1:3].tolist()  # behind the best
        best, second = (math.exp(share) for share in evidence.share[:2].tolist())
        # Shares of labels that stand far apart come to 0, of which there is no logarithm.
        shares = np.log(np.maximum([best + second, second / max(1 - best, _LEAST_SHARE)], _LEAST_NUMBER))
        over_third = np.array([-third_behind, second_behind - third_behind])
        confidences = calibration.confidences(Evidence(evidence.score[:2], over_third, evidence.penalty[:2], shares))
        return cls(-second_behind, float(confidences[0]), float(confidences[1]))


def _either(candidates: tuple[Candidate, ...]) -> str:
    return f"Either {_two(candidates)}: too close to call."


def _two(candidates: tuple[Candidate, ...]) -> str:
    return " or ".join(repr(candidate.label) for candidate in candidates[:2])
