"""From candidates with confidences to a verdict."""

from __future__ import annotations

import numpy as np

from index.calibration import Calibration, Evidence
from index.verdict import Candidate, Reason, Verdict, VerdictName

__all__ = ["decide", "empty_gallery"]


def decide(
    candidates: tuple[Candidate, ...],
    evidence: Evidence,
    calibration: Calibration | None,
    penalty: float,
    far_budget: float,
) -> Verdict:
    """`known` when the best candidate's confidence reaches the threshold; `ambiguous` when it would reach it if the
    two best labels were one; `unknown` otherwise.

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
    if best.confidence >= threshold:
        verdict, reason = "known", "confident"
        sentence = f"{best.label!r}: confidence {best.confidence:.2f} reaches the threshold {threshold:.2f}."
    elif len(candidates) > 1 and _confidence_of_pair(evidence, calibration) >= threshold:
        verdict, reason = "ambiguous", "too_close"
        sentence = f"Either {best.label!r} or {candidates[1].label!r}: too close to call."
    else:
        verdict, reason = "unknown", "below_threshold"
        sentence = (
            f"The nearest label is {best.label!r}, but confidence {best.confidence:.2f} is below the "
            f"threshold {threshold:.2f}."
        )
    return Verdict(verdict, reason, sentence, candidates, penalty, threshold, calibration.far_budget)


def empty_gallery(far_budget: float) -> Verdict:
    """The verdict of a gallery without items."""
    return Verdict("unknown", "empty_gallery", "This gallery has no photos yet.", (), 0.0, 1.0, far_budget)


def _confidence_of_pair(evidence: Evidence, calibration: Calibration) -> float:
    """Confidence that one of the two best labels is right: the margin is taken over the third."""
    if len(evidence.score) < 3:
        return 0.0
    score = evidence.score[:1]
    margin = score - evidence.score[2:3]
    return float(calibration.confidences(Evidence(score, np.asarray(margin), evidence.penalty[:1]))[0])
