"""Looking for the thing inside a cluttered photo: which parts to ask about, and whose verdict is the answer.

Who asks several questions gets a wrong "known" from any of them. So a part is believed less than a photo: with n
questions in all, its confidence c counts as 1 - n * (1 - c), which is the union bound (Bonferroni) on being wrong. That
is compared with the gallery's threshold. The photo itself counts as it would alone.

What this keeps of the false-accept budget: the photo alone keeps to it. Near the threshold strangers thin out about as
the odds of being wrong do, so n times smaller odds let through a share of about 1/n each, and the n - 1 parts together
less than one budget more, even if no two of them erred on the same photo. Measured (`benchmarks/search_inside.py`, 60
packages and 60 strangers, each at 45 % in a corner of another photo): the nearest label is right for 43 in place of 25,
and no further stranger is accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeAlias, get_args

from index.verdict import Candidate, Verdict

__all__ = ["SEARCHES", "Region", "Search", "answering_part", "counted", "parts_of", "settled"]

Search: TypeAlias = Literal["whole", "inside"]
"""How a photo is looked at: as it is, or also part by part."""

SEARCHES: tuple[Search, ...] = get_args(Search)

Region: TypeAlias = tuple[int, int, int, int]
"""x0, y0 (included), x1, y1 (excluded), in pixels of the upright photo."""

_FIFTHS = 3
"""Sides of a part in fifths of the region's. The corners overlap by a fifth, so what is no larger than a fifth lies
within one of them wherever it is; so does what is up to three fifths large and stands in a corner or in the middle."""


def parts_of(region: Region, *, least_side: int) -> tuple[Region, ...]:
    """The five parts that are asked about beside a region: its middle and its four corners, overlapping.

    Args:
        least_side: pixels that a part needs each way; of a region too small for that there are no parts.
    """
    x0, y0, x1, y1 = region
    # All of one size, rounded up, so that they are decoded alike.
    wide, high = -(-(x1 - x0) * _FIFTHS // 5), -(-(y1 - y0) * _FIFTHS // 5)
    if min(wide, high) < least_side:
        return ()
    right, bottom = x1 - wide, y1 - high
    corners = [((x0 + right) // 2, (y0 + bottom) // 2), (x0, y0), (right, y0), (x0, bottom), (right, bottom)]
    return tuple((x, y, x + wide, y + high) for x, y in corners)


def counted(confidence: float, questions: int) -> float:
    """What a part's confidence is worth when it is one of several questions, 0..1.

    0.99 of one in six is 1 - 6 * 0.01 = 0.94.
    """
    return max(0.0, 1 - questions * (1 - confidence))


def settled(whole: Verdict) -> bool:
    """Whether no part could answer in place of the whole: the gallery holds this very photo, or can know nothing."""
    return whole.reason in ("same_photo", "empty_gallery", "nothing_matches_filter", "not_calibrated")


def answering_part(whole: Verdict, parts: Sequence[Verdict]) -> tuple[int, Verdict] | None:
    """The part that answers in place of the whole, if any, and its verdict with confidences as they count.

    First choice is the surest part that stays `known` as it counts, if it is then surer than the whole. Where there is
    none and the whole is `unknown` too, the part with the nearest candidate tells what the photo may show, if it is
    nearer than the whole's; its verdict is `unknown`. Of equals the first. Otherwise the whole answers.
    """
    questions = 1 + len(parts)
    worth = [counted(verdict.confidence, questions) for verdict in parts]
    known = [
        at
        for at, verdict in enumerate(parts)
        if verdict.verdict == "known" and worth[at] >= verdict.threshold and worth[at] > whole.confidence
    ]
    if known:
        at = max(known, key=lambda at: parts[at].confidence)
        return at, _known(parts[at], questions)
    nearer = [
        at
        for at, verdict in enumerate(parts)
        if verdict.reason != "unusable_photo" and verdict.confidence > whole.confidence
    ]
    if whole.reason == "below_threshold" and nearer:
        at = max(nearer, key=lambda at: parts[at].confidence)
        return at, _unknown(parts[at], questions)
    return None


def _known(verdict: Verdict, questions: int) -> Verdict:
    candidates = _as_they_count(verdict.candidates, questions)
    sentence = (
        f"{verdict.explanation} It was found in a part of the photo: as one of {questions} questions, the confidence "
        f"counts as {candidates[0].confidence:.2f}."
    )
    return replace(verdict, candidates=candidates, explanation=sentence)


def _unknown(verdict: Verdict, questions: int) -> Verdict:
    candidates = _as_they_count(verdict.candidates, questions)
    sentence = (
        f"The nearest label is {candidates[0].label!r}, in a part of the photo, but confidence "
        f"{verdict.confidence:.2f}, which counts as {candidates[0].confidence:.2f} as one of {questions} questions, "
        f"is not enough for the threshold {verdict.threshold:.2f}."
    )
    return replace(verdict, verdict="unknown", reason="below_threshold", candidates=candidates, explanation=sentence)


def _as_they_count(candidates: tuple[Candidate, ...], questions: int) -> tuple[Candidate, ...]:
    return tuple(replace(entry, confidence=counted(entry.confidence, questions)) for entry in candidates)
