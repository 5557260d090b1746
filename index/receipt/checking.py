"""Making a verdict again from its receipt alone."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from embedding.quality import Defect
from index.calibration import Calibration, Evidence
from index.decision import confidences_of, decide, empty_gallery, nothing_matches, same_photo, unusable
from index.promotion import match_evidence
from index.ranking import margins
from index.receipt.document import LabelTrace, Receipt, Term
from index.receipt.making import terms_of
from index.recognizer import SHARE_TEMPERATURE
from index.verdict import Candidate, Verdict

__all__ = ["check_arithmetic", "defect_of_receipt", "evidence_by_label", "same"]

_ROUNDING = 1e-9
"""Sums in another order, or an exponential of another library, differ less than this."""


def check_arithmetic(receipt: Receipt) -> list[str]:
    """Make the verdict again from what its receipt tells, with nothing else at hand.

    Inliers become evidence; similarity and evidence scores; scores margins and shares; these and the penalty, by the
    calibration's weights, logits; logits confidences; confidences and the threshold the verdict.

    Returns:
        what does not add up, as sentences; empty when all does.
    """
    evidence, matches = _evidence(receipt), evidence_by_label(receipt)
    calibration = None if receipt.learned is None else receipt.learned.calibration
    holds = np.array([trace.label in receipt.holders for trace in receipt.labels], np.bool_)
    confidences = confidences_of(evidence, calibration, holds)
    found: list[str] = []
    for photo in receipt.verified:
        evidence_of_photo: dict[str, object] = {"evidence": match_evidence(photo.distinctive, photo.colour_difference)}
        found += _unequal(f" of photo {photo.id}", {"evidence": photo.evidence}, evidence_of_photo)
    for at, trace in enumerate(receipt.labels):
        own = evidence.where(np.arange(len(holds)) == at)
        expected: dict[str, object] = {
            "match_evidence": matches.get(trace.label, 0.0),
            "promotion": receipt.pipeline.verification.weight * trace.match_evidence,
            "score": trace.similarity + trace.promotion,
            "margin": float(own.margin[0]),
            "penalty": receipt.penalty,
            "share": float(own.share[0]),
            "holds_photo": bool(holds[at]),
            "confidence": float(confidences[at]),
        }
        found += _unequal(f" of {trace.label!r}", trace.model_dump(include=set(expected)), expected)
        if calibration is not None:
            found += _check_logit(trace, calibration, own)
    return found + _check_decision(receipt, evidence, confidences, calibration)


def _evidence(receipt: Receipt) -> Evidence:
    """Of each label, from its similarity and its promotion."""
    scores = np.array([trace.score for trace in receipt.labels])
    part = receipt.pipeline.verification.presence
    presence = np.array([trace.similarity + part * trace.promotion for trace in receipt.labels])
    crowd = -np.inf if receipt.crowd is None else receipt.crowd
    strange = -np.inf if receipt.strange is None else receipt.strange
    shares = presence / SHARE_TEMPERATURE - np.logaddexp(crowd, strange)
    return Evidence(presence, margins(scores), np.full(len(scores), receipt.penalty), shares)


def evidence_by_label(receipt: Receipt) -> dict[str, float]:
    """Of each label that had a photo verified: that of the photo that says most."""
    evidence: dict[str, float] = {}
    for photo in receipt.verified:
        evidence[photo.label] = max(photo.evidence, evidence.get(photo.label, 0.0))
    return evidence


def _check_logit(trace: LabelTrace, calibration: Calibration, evidence: Evidence) -> list[str]:
    said = _by_name(trace.terms)
    expected = _by_name(terms_of(calibration, evidence))
    said["logit"], expected["logit"] = trace.logit, float(calibration.logits(evidence)[0])
    return _unequal(f" in the logit of {trace.label!r}", said, expected)


def _by_name(terms: Iterable[Term]) -> dict[str, object]:
    return {
        f"{part} of the {term.name}": getattr(term, part)
        for term in terms
        for part in ("weight", "value", "contribution")
    }


def _check_decision(
    receipt: Receipt, evidence: Evidence, confidences: NDArray[np.float64], calibration: Calibration | None
) -> list[str]:
    candidates = tuple(
        Candidate(trace.label, trace.score, float(confidence), ())
        for trace, confidence in zip(receipt.labels, confidences, strict=True)
    )
    verdict = _verdict(receipt, candidates, evidence, calibration)
    names = ("verdict", "reason", "label", "confidence", "threshold")
    said = receipt.decision.model_dump(include=set(names))
    return _unequal(" of the decision", said, {name: getattr(verdict, name) for name in names})


def _verdict(
    receipt: Receipt, candidates: tuple[Candidate, ...], evidence: Evidence, calibration: Calibration | None
) -> Verdict:
    budget = receipt.decision.far_budget
    if not candidates and receipt.decision.reason == "empty_gallery":
        verdict = empty_gallery(budget)
    elif not candidates:
        verdict = nothing_matches(calibration, budget)
    elif receipt.holders and calibration is not None:
        verdict = same_photo(candidates, len(receipt.holders), calibration, receipt.penalty)
    else:
        verdict = decide(candidates, evidence, calibration, receipt.penalty, budget)
    defect = defect_of_receipt(receipt)
    return verdict if defect is None else unusable(verdict, defect)


def defect_of_receipt(receipt: Receipt) -> Defect | None:
    """What made the photo unusable."""
    decision = receipt.decision
    return None if decision.defect is None else Defect(decision.defect, decision.explanation)


def _unequal(where: str, said: dict[str, object], expected: dict[str, object]) -> list[str]:
    return [
        f"{name}{where}: the receipt says {said.get(name)!r}, its own numbers give {value!r}"
        for name, value in expected.items()
        if not same(said.get(name), value, _ROUNDING)
    ]


def same(one: object, other: object, room: float) -> bool:
    """Whether two values are equal, numbers but for `room`."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= room
    return one == other
