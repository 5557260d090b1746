"""What verification adds to a ranking: labels whose photos have local features in common with the query move up.

A missing match takes nothing away: produce, faces and waves have few features that are found again.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from index.ranking import RankedLabel
from index.verification import Match, distinctive_inliers

__all__ = ["BY_CHANCE", "MOST_EVIDENCE", "match_evidence", "promote", "promote_by_evidence", "to_verify"]

BY_CHANCE = 2.0
"""Distinctive inliers that two photos of different things have often."""

_ENOUGH = 200.0
MOST_EVIDENCE = math.log1p(_ENOUGH - BY_CHANCE)
"""The evidence of 200 distinctive inliers in the same colours; more say no more."""

_COLOUR_SCALE = 8.0
"""Difference of colour at which an inlier counts for 1/e."""

_TURN = 3
"""A label's second photo is looked at when the best one of the third label after it is, and so on."""


def match_evidence(distinctive: float, colour_difference: float) -> float:
    """How much a match says: log(1 + inliers beyond chance * exp(-colour difference / 8)), 0 to `MOST_EVIDENCE`.

    Args:
        distinctive: its inliers, those counted less that other labels have as well
            (`index.verification.distinctive_inliers`).
        colour_difference: of the places where they lie.
    """
    beyond = max(min(distinctive, _ENOUGH) - BY_CHANCE, 0.0)
    return math.log1p(beyond * math.exp(-colour_difference / _COLOUR_SCALE))


def to_verify(ranked: Sequence[RankedLabel], photos: int) -> list[int]:
    """Which gallery photos to verify: the most similar ones of the labels that came first.

    Args:
        ranked: best first.
        photos: how many at most.
    """
    order = [
        (place + _TURN * turn, turn, int(entry.numbers[at]))
        for place, entry in enumerate(ranked[:photos])
        for turn, at in enumerate((-entry.similarities).argsort(kind="stable")[: 1 + (photos - place) // _TURN])
    ]
    return [number for _, _, number in sorted(order)][:photos]


def promote(
    ranked: Sequence[RankedLabel], matches: Mapping[int, Match], weight: float, presence: float = 1.0
) -> list[RankedLabel]:
    """Add to each label's score `weight` times the evidence of its best verified photo, and sort anew.

    Args:
        ranked: labels with scores from embeddings.
        matches: of the photos that were looked at, by number.
        weight: in units of score.
        presence: the part of that which counts for the presence of the thing, 0 to 1.
    """
    labels = {number: entry.label for entry in ranked for number in entry.numbers.tolist() if number in matches}
    distinctive = distinctive_inliers(matches, labels)
    evidence: dict[str, float] = defaultdict(float)
    for number, match in matches.items():
        found = match_evidence(distinctive[number], match.colour_difference)
        evidence[labels[number]] = max(evidence[labels[number]], found)
    return promote_by_evidence(ranked, evidence, weight, presence)


def promote_by_evidence(
    ranked: Sequence[RankedLabel], evidence: Mapping[str, float], weight: float, presence: float = 1.0
) -> list[RankedLabel]:
    """The same, from what is known of each label's matches; a label without any is as it was."""
    promoted = [
        replace(
            entry,
            score=entry.score + weight * evidence.get(entry.label, 0.0),
            match_evidence=evidence.get(entry.label, 0.0),
            presence=entry.score + presence * weight * evidence.get(entry.label, 0.0),
        )
        for entry in ranked
    ]
    return sorted(promoted, key=lambda entry: (-entry.score, entry.label))
