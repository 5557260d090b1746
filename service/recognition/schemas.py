"""The answers of `POST /recognize` and `POST /recognize/batch`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from index.receipt import Receipt
from service.problems import Problem

__all__ = ["BatchAnswer", "CandidateAnswer", "MatchedItemAnswer", "RecognitionAnswer", "TimingAnswer"]


class MatchedItemAnswer(BaseModel):
    """A gallery photo that resembles the query. The last three come with `explain` only."""

    id: str
    similarity: float
    penalty: float
    inliers: int | None
    external_id: str | None = None
    metadata: dict[str, Any] | None = None
    image: str | None = None


class CandidateAnswer(BaseModel):
    """A label that the photo may show; `confidence` is the calibrated probability that it does."""

    label: str
    score: float
    confidence: float
    items: list[MatchedItemAnswer]


class TimingAnswer(BaseModel):
    """Milliseconds."""

    decode: float
    embed: float
    search: float
    verify: float
    total: float


class RecognitionAnswer(BaseModel):
    """A verdict. `candidates` stand best first whatever it is; `confidence` is that of the best one.

    `generation` and `change` say which state of the gallery was asked: the same photo at the same two gives the same
    answer but for `id` and `timing_ms`. `receipt` comes with `explain` only: all that the verdict was made of, for
    `whichone explain` to make it again.

    `box` comes with `search=inside` when a part of the photo answers: x0, y0, x1, y1 in pixels of the upright photo;
    null for the whole of what was asked about. Its confidences are then counted down for the several questions that
    were asked, and the verdict with them; `receipt` tells of that part as if it alone had been asked about.
    """

    id: str
    verdict: Literal["known", "ambiguous", "unknown"]
    label: str | None
    confidence: float
    reason: str
    explanation: str
    box: tuple[int, int, int, int] | None
    candidates: list[CandidateAnswer]
    penalty: float
    threshold: float
    far_budget: float
    gallery: str
    generation: int
    change: int
    model: str
    timing_ms: TimingAnswer
    receipt: Receipt | None = None


class PhotoAnswer(BaseModel):
    """One photo of a batch: its recognition, or else what is wrong with it."""

    recognition: RecognitionAnswer | None = None
    problem: Problem | None = None


class BatchAnswer(BaseModel):
    """One result a photo, in their order."""

    results: list[PhotoAnswer]
