"""The worst mistakes: which queries to look at first, and what to show beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from index.evaluation.manifest import Photo
from index.evaluation.result import Evaluation
from index.evaluation.scoring import Answer

__all__ = ["KINDS", "Mistake", "MistakeKind", "worst_mistakes"]


@dataclass(frozen=True)
class MistakeKind:
    """A kind of mistake, and what comes first in its list."""

    key: str
    title: str
    meaning: str


KINDS = (
    MistakeKind("false_accepts", "False accepts", "Photos of unknown things called known, most confident first."),
    MistakeKind("wrong_labels", "Wrong labels", "Known things called something else, most confident first."),
    MistakeKind("missed", "Missed", "Known things not recognised, least confident first."),
)


@dataclass(frozen=True)
class Mistake:
    """A query, what was said to it, and the gallery photo that spoke for it."""

    query: Photo
    answer: Answer
    evidence: Photo | None


def worst_mistakes(evaluation: Evaluation, limit: int = 18) -> dict[str, tuple[int, list[Mistake]]]:
    """Whichone's mistakes by kind: how many there are, and the `limit` worst of them."""
    answers = evaluation.ours.answers
    known, right, accepted = answers.known, answers.right, answers.accepted
    chosen: dict[str, tuple[NDArray[np.bool_], int]] = {
        "false_accepts": (~known & accepted, -1),
        "wrong_labels": (known & accepted & ~right, -1),
        "missed": (known & ~accepted, 1),
    }
    return {key: _worst(evaluation, mask, sign, limit) for key, (mask, sign) in chosen.items()}


def _worst(evaluation: Evaluation, mask: NDArray[np.bool_], sign: int, limit: int) -> tuple[int, list[Mistake]]:
    positions = np.flatnonzero(mask)
    order = np.argsort(sign * evaluation.ours.answers.confidence[positions], kind="stable")
    return len(positions), [_mistake(evaluation, int(i)) for i in positions[order][:limit]]


def _mistake(evaluation: Evaluation, position: int) -> Mistake:
    answer = evaluation.ours.answers.answers[position]
    evidence = None if answer.evidence is None else evaluation.manifest.gallery[answer.evidence]
    return Mistake(evaluation.manifest.queries[position], answer, evidence)
