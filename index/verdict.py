"""What a recognition says: a verdict, its candidates, and the gallery photos that speak for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

VerdictName = Literal["known", "ambiguous", "unknown"]
Reason = Literal[
    "confident",
    "same_photo",
    "too_close",
    "below_threshold",
    "unusable_photo",
    "empty_gallery",
    "nothing_matches_filter",
    "not_calibrated",
]

DIGITS = 6
"""Decimals kept in answers: finer digits are float noise, and would differ between machines."""


@dataclass(frozen=True, slots=True)
class MatchedItem:
    """A gallery photo that resembles the query.

    Attributes:
        id: the item.
        similarity: cosine, of embeddings as the gallery's adaptation has them.
        penalty: its mean top-k cosine to the distractors.
        inliers: local features that it has in common with the query; None when it was not verified.
    """

    id: str
    similarity: float
    penalty: float
    inliers: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "similarity": round(self.similarity, DIGITS),
            "penalty": round(self.penalty, DIGITS),
            "inliers": self.inliers,
        }


@dataclass(frozen=True, slots=True)
class Candidate:
    """One label that the query may show.

    Attributes:
        label: its name.
        score: the label's aggregated similarity, roughly -1..1; calibration gives it meaning.
        confidence: calibrated probability that the query shows this label, 0..1.
        items: the gallery photos that voted, most similar first.
    """

    label: str
    score: float
    confidence: float
    items: tuple[MatchedItem, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "score": round(self.score, DIGITS),
            "confidence": round(self.confidence, DIGITS),
            "items": [item.to_json() for item in self.items],
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one query.

    Attributes:
        verdict: `known`, `ambiguous` (two labels too close to call) or `unknown`.
        reason: a stable code for why.
        explanation: the same as a sentence for people.
        candidates: best first, whatever the verdict.
        penalty: the query's mean top-k cosine to the distractors, 0 without distractors.
        threshold: smallest confidence that counts as known.
        far_budget: the false-accept rate that the threshold was set for.
    """

    verdict: VerdictName
    reason: Reason
    explanation: str
    candidates: tuple[Candidate, ...]
    penalty: float
    threshold: float
    far_budget: float

    @property
    def label(self) -> str | None:
        """The recognised label; None unless the verdict is `known`."""
        return self.candidates[0].label if self.verdict == "known" else None

    @property
    def confidence(self) -> float:
        """Probability that the best candidate is right, whatever the verdict; 0 when there is none."""
        return self.candidates[0].confidence if self.candidates else 0.0

    def to_json(self) -> dict[str, Any]:
        """What the index knows of the HTTP contract: no id, gallery, generation, model or timing."""
        return {
            "verdict": self.verdict,
            "label": self.label,
            "confidence": round(self.confidence, DIGITS),
            "reason": self.reason,
            "explanation": self.explanation,
            "candidates": [candidate.to_json() for candidate in self.candidates],
            "penalty": round(self.penalty, DIGITS),
            "threshold": round(self.threshold, DIGITS),
            "far_budget": self.far_budget,
        }
