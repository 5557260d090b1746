"""One system's answers to all queries, and the figures that sum them up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from index.evaluation import metrics
from index.evaluation.intervals import bootstrap_interval, clopper_pearson
from index.evaluation.manifest import Photo
from index.verdict import VerdictName

__all__ = ["METRICS", "Answer", "Answers", "Figure", "Figures", "Metric", "score"]

Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True)
class Answer:
    """What a system said to one query.

    Attributes:
        verdict: known, ambiguous or unknown.
        candidates: (label, confidence) pairs, best first; may be empty.
        evidence: position in the gallery of the photo that speaks for the best candidate; None without one.
        reason: a stable code for why.
    """

    verdict: VerdictName
    candidates: tuple[tuple[str, float], ...]
    evidence: int | None = None
    reason: str = ""

    @property
    def label(self) -> str | None:
        """The best candidate's label, whatever the verdict."""
        return self.candidates[0][0] if self.candidates else None

    @property
    def confidence(self) -> float:
        """The best candidate's confidence; 0 without one."""
        return self.candidates[0][1] if self.candidates else 0.0

    def ranked(self, threshold: float) -> list[str | None]:
        """The candidates, with "unknown" (None) ranked where the threshold falls."""
        above = [label for label, confidence in self.candidates if confidence >= threshold]
        below = [label for label, confidence in self.candidates if confidence < threshold]
        return [*above, None, *below]


@dataclass(frozen=True)
class Answers:
    """One system's answers, aligned with the queries they were given to."""

    queries: tuple[Photo, ...]
    answers: tuple[Answer, ...]
    threshold: float

    def where(self, chosen: Sequence[int]) -> Answers:
        """The answers to some of the queries, by position."""
        return Answers(tuple(self.queries[i] for i in chosen), tuple(self.answers[i] for i in chosen), self.threshold)

    @cached_property
    def truth(self) -> list[str | None]:
        """The right answer to each query: its label, or None where nothing of the gallery is shown."""
        return [photo.label if photo.known else None for photo in self.queries]

    @cached_property
    def known(self) -> Bools:
        return np.array([photo.known for photo in self.queries], dtype=bool)

    @cached_property
    def right(self) -> Bools:
        """Whether the best candidate is right, whatever the verdict."""
        pairs = zip(self.truth, self.answers, strict=True)
        return np.array([metrics.is_right(truth, answer.label) for truth, answer in pairs], dtype=bool)

    @cached_property
    def accepted(self) -> Bools:
        return np.array([answer.verdict == "known" for answer in self.answers], dtype=bool)

    @cached_property
    def ambiguous(self) -> Bools:
        return np.array([answer.verdict == "ambiguous" for answer in self.answers], dtype=bool)

    @cached_property
    def confidence(self) -> Floats:
        return np.array([answer.confidence for answer in self.answers], dtype=np.float64)


@dataclass(frozen=True)
class Figure:
    """A value and, where it can be said, its 95 % interval. nan where undefined."""

    value: float
    low: float = metrics.NAN
    high: float = metrics.NAN

    def to_json(self) -> dict[str, float | None]:
        return {name: _or_none(getattr(self, name)) for name in ("value", "low", "high")}


@dataclass(frozen=True)
class Metric:
    """How a figure is called and read."""

    key: str
    title: str
    meaning: str
    higher_is_better: bool
    percent: bool = True


METRICS = (
    Metric("top_1", "closed-set top-1", "known queries whose best candidate is right, whatever the verdict", True),
    Metric("top_5", "closed-set top-5", "known queries with the right label among five candidates", True),
    Metric("gap", "GAP", "global average precision over all queries (official definition)", True, percent=False),
    Metric("map_5", "MAP@5", "mean 1/rank of the right answer; “unknown” is a ranked answer", True, percent=False),
    Metric("auroc", "AUROC", "known and right against unknown, by confidence", True, percent=False),
    Metric("fpr_95", "FPR at 95 % TPR", "unknown accepted where 95 % of the known and right are", False),
    Metric(
        "dir",
        "right at the FAR budget",
        "known queries right and accepted, threshold set on these unknowns",
        True,
    ),
    Metric("false_accepts", "false-accept rate", "unknown queries given the verdict “known”", False),
    Metric(
        "accepted_right",
        "accepted and right",
        "known queries given the verdict “known” and the right label",
        True,
    ),
    Metric(
        "accepted_wrong",
        "accepted and wrong",
        "known queries given the verdict “known” and a wrong label",
        False,
    ),
    Metric("ambiguous", "ambiguous", "queries given the verdict “ambiguous”", False),
    Metric("ece", "calibration error", "expected |confidence - share right|, 15 bins of equal mass", False),
)


@dataclass(frozen=True)
class Figures:
    """All figures of one system on one set of queries."""

    n_known: int
    n_unknown: int
    by_key: dict[str, Figure]

    def __getitem__(self, key: str) -> Figure:
        return self.by_key[key]

    def to_json(self) -> dict[str, Any]:
        figures = {key: figure.to_json() for key, figure in self.by_key.items()}
        return {"n_known": self.n_known, "n_unknown": self.n_unknown, **figures}


def score(answers: Answers, *, far_budget: float, bootstrap: int = 1000) -> Figures:
    """Compute every metric of `METRICS`.

    Args:
        answers: of one system to all queries, or a group of them.
        far_budget: the false-accept rate at which "right at the FAR budget" is read.
        bootstrap: redraws for the intervals of GAP, AUROC and calibration error; 0 leaves them out.
    """
    known, unknown = answers.known, ~answers.known
    ranked = [[label for label, _ in answer.candidates] for answer in answers.answers]
    known_truth = [truth for truth in answers.truth if truth is not None]
    known_ranked = [one for one, is_known in zip(ranked, known, strict=True) if is_known]
    with_unknown = [answer.ranked(answers.threshold) for answer in answers.answers]
    positive, negative = answers.confidence[known & answers.right], answers.confidence[unknown]
    by_key = {
        "top_1": _rate(answers.right[known]),
        "top_5": Figure(metrics.top_k_accuracy(known_truth, known_ranked, 5)),
        "gap": _with_interval(_gap_of(answers), len(known), bootstrap),
        "map_5": Figure(metrics.map_at_k(answers.truth, with_unknown, 5)),
        "auroc": _with_interval(_auroc_of(answers), len(known), bootstrap),
        "fpr_95": Figure(metrics.fpr_at_tpr(positive, negative)),
        "dir": Figure(
            metrics.detection_identification_rate(answers.confidence[known], answers.right[known], negative, far_budget)
        ),
        "false_accepts": _rate(answers.accepted[unknown]),
        "accepted_right": _rate((answers.accepted & answers.right)[known]),
        "accepted_wrong": _rate((answers.accepted & ~answers.right)[known]),
        "ambiguous": _rate(answers.ambiguous),
        "ece": _with_interval(_ece_of(answers), len(known), bootstrap),
    }
    return Figures(int(known.sum()), int(unknown.sum()), by_key)


def _rate(outcomes: Bools) -> Figure:
    """Share that is true, with the exact (Clopper-Pearson) interval."""
    if not len(outcomes):
        return Figure(metrics.NAN)
    low, high = clopper_pearson(int(outcomes.sum()), len(outcomes))
    return Figure(float(outcomes.mean()), low, high)


def _with_interval(statistic: Callable[[NDArray[np.intp]], float], n: int, samples: int) -> Figure:
    value = statistic(np.arange(n))
    low, high = bootstrap_interval(statistic, n, samples=samples) if samples else (metrics.NAN, metrics.NAN)
    return Figure(value, low, high)


def _gap_of(answers: Answers) -> Callable[[NDArray[np.intp]], float]:
    # `gap` on positions: the queries are put in the order of their names first, which settles ties as the
    # definition has it, and an answer without a candidate is an abstention.
    by_name = np.argsort(np.array([photo.name for photo in answers.queries]), kind="stable")
    confidence, right, known = answers.confidence[by_name], answers.right[by_name], answers.known[by_name]
    answered = np.array([bool(answers.answers[i].candidates) for i in by_name], dtype=bool)

    def statistic(at: NDArray[np.intp]) -> float:
        at = np.sort(at)
        kept = at[answered[at]]
        return metrics.average_precision(confidence[kept], right[kept], int(known[at].sum()))

    return statistic


def _auroc_of(answers: Answers) -> Callable[[NDArray[np.intp]], float]:
    confidence, right, known = answers.confidence, answers.right, answers.known

    def statistic(at: NDArray[np.intp]) -> float:
        return metrics.auroc(confidence[at][(known & right)[at]], confidence[at][~known[at]])

    return statistic


def _ece_of(answers: Answers) -> Callable[[NDArray[np.intp]], float]:
    # A plain cosine below 0 is no probability; it counts as 0.
    confidence, right = np.clip(answers.confidence, 0, 1), answers.right
    return lambda at: metrics.expected_calibration_error(confidence[at], right[at])


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 6)
