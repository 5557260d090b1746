"""Writing the receipt of a verdict."""

from __future__ import annotations

import base64
import hashlib

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from embedding.quality import Defect
from index.calibration import Calibration, Evidence
from index.promotion import match_evidence
from index.receipt.document import (
    About,
    Decision,
    LabelTrace,
    Learned,
    MeasureName,
    Photo,
    Place,
    Receipt,
    Term,
    Verified,
)
from index.recognizer import SHARE_TEMPERATURE, Ranked, Recognizer, Traced
from index.tuning import Tuning
from index.verdict import Candidate, Verdict
from index.verification import Match, distinctive_inliers

__all__ = ["FEWEST_LABELS", "MOST_POINTS", "build", "terms_of"]

MOST_POINTS = 50
"""Places in common that a receipt tells of one gallery photo, spread over all of them."""

FEWEST_LABELS = 3
"""A verdict depends on so many labels: the best, the runner-up, and what they both stand out from."""

_POINT_DIGITS = 5


def build(
    recognizer: Recognizer,
    query: NDArray[np.float32],
    traced: Traced,
    *,
    about: About,
    defect: Defect | None = None,
    top_k: int = 5,
) -> Receipt:
    """The receipt of a verdict.

    Args:
        recognizer: the gallery, unchanged since `traced` came from it.
        query: (d,) as it was asked.
        top_k: labels to tell of, or more if the verdict depends on more.
    """
    ranked = traced.ranked
    most = max(top_k, FEWEST_LABELS)
    tuning = recognizer.tuning
    return Receipt(
        format="whichone-receipt/1",
        about=about,
        embedding=base64.b64encode(query.astype("<f4").tobytes()).decode("ascii"),
        pipeline=recognizer.pipeline,
        learned=None if tuning is None else _learned(tuning),
        penalty=0.0 if ranked is None else ranked.penalty,
        crowd=None if ranked is None else _crowd(ranked),
        strange=None if ranked is None or ranked.strange == -np.inf else ranked.strange,
        verified=() if ranked is None else _verified(recognizer, ranked),
        holders=() if ranked is None else tuple(sorted(ranked.holders)),
        labels=() if ranked is None else _labels(recognizer, ranked, most),
        decision=_decision(traced.verdict, defect),
    )


def _learned(tuning: Tuning) -> Learned:
    body, adaptation = tuning.body, tuning.adaptation
    return Learned(
        calibration=body.calibration,
        verification=body.verification,
        choices=body.choices,
        adaptation_sha256=None if adaptation is None else hashlib.sha256(adaptation.to_bytes()).hexdigest(),
    )


def _crowd(ranked: Ranked) -> float:
    return float(logsumexp(ranked.evidence().score / SHARE_TEMPERATURE))


def _decision(verdict: Verdict, defect: Defect | None) -> Decision:
    return Decision(
        verdict=verdict.verdict,
        reason=verdict.reason,
        label=verdict.label,
        confidence=verdict.confidence,
        threshold=verdict.threshold,
        far_budget=verdict.far_budget,
        defect=None if defect is None else defect.kind,
        explanation=verdict.explanation,
    )


def _labels(recognizer: Recognizer, ranked: Ranked, most: int) -> tuple[LabelTrace, ...]:
    evidence = ranked.evidence()
    place = {entry.label: at for at, entry in enumerate(ranked.labels)}
    return tuple(
        _label(recognizer, ranked, candidate, evidence.where(np.arange(len(place)) == place[candidate.label]))
        for candidate in recognizer.candidates(ranked, most)
    )


def _label(recognizer: Recognizer, ranked: Ranked, candidate: Candidate, evidence: Evidence) -> LabelTrace:
    """Args:
    evidence: of this label alone.
    """
    calibration = recognizer.calibration
    match_evidence = next(entry.match_evidence for entry in ranked.labels if entry.label == candidate.label)
    promotion = recognizer.pipeline.verification.weight * match_evidence
    return LabelTrace(
        label=candidate.label,
        holds_photo=candidate.label in ranked.holders,
        similarity=candidate.score - promotion,
        promotion=promotion,
        score=candidate.score,
        margin=float(evidence.margin[0]),
        penalty=float(evidence.penalty[0]),
        share=float(evidence.share[0]),
        match_evidence=match_evidence,
        terms=() if calibration is None else terms_of(calibration, evidence),
        logit=None if calibration is None else float(calibration.logits(evidence)[0]),
        confidence=candidate.confidence,
        photos=tuple(
            Photo(id=item.id, similarity=item.similarity, penalty=item.penalty, inliers=item.inliers)
            for item in candidate.items
        ),
    )


def terms_of(calibration: Calibration, evidence: Evidence) -> tuple[Term, ...]:
    """What each measure of one label adds to its logit; the penalty takes away."""
    weights: dict[MeasureName, float] = {
        "score": calibration.score_weight,
        "margin": calibration.margin_weight,
        "penalty": -calibration.penalty_weight,
        "share": calibration.share_weight,
    }
    values = {name: float(getattr(evidence, name)[0]) for name in weights}
    return tuple(
        Term(name=name, weight=weight, value=values[name], contribution=weight * values[name])
        for name, weight in weights.items()
    )


def _verified(recognizer: Recognizer, ranked: Ranked) -> tuple[Verified, ...]:
    table = recognizer.table
    distinctive = distinctive_inliers(ranked.matches, {number: table.label(number) for number in ranked.matches})
    return tuple(
        Verified(
            id=table.id(number),
            label=table.label(number),
            inliers=match.inliers,
            distinctive=distinctive[number],
            colour_difference=match.colour_difference,
            evidence=match_evidence(distinctive[number], match.colour_difference),
            points=_places(match),
        )
        for number, match in ranked.matches.items()
    )


def _places(match: Match) -> tuple[Place, ...]:
    rows = np.concatenate([match.query_points, match.gallery_points], axis=1)
    if len(rows) > MOST_POINTS:
        rows = rows[np.linspace(0, len(rows) - 1, MOST_POINTS).round().astype(int)]
    return tuple((a, b, c, d) for a, b, c, d in rows.astype(np.float64).round(_POINT_DIGITS).tolist())
