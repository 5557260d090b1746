"""From evidence to a probability, and from a false-accept budget to a threshold.

The confidence of a candidate is a logistic function of four measures, monotone in each: its score, its margin over the
best other label, its share among labels and distractors, and (downwards) the query's penalty. What verification found
is in full in the margin, in part in score and share. It is fitted on queries whose answer is known: labelled ones, or
those that a gallery can ask itself (`index.simulation`). The threshold comes from the unknown ones among them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import beta, nct, norm

from index.errors import NotCalibratable

__all__ = ["CERTAIN", "Calibration", "Evidence", "Samples", "fit", "threshold_logit"]

Floats = NDArray[np.float64]
Source = Literal["gallery", "labelled", "background"]

_RIDGE = 1.0
"""Strength of the pull of the standardised weights towards 0, as if one more query had been seen."""

_TAIL = 0.1
"""Share of the unknown queries that shapes the tail when there are too few to count it."""

_FEWEST_TAIL = 5
_COUNTED = 3
"""The threshold is an order statistic when it leaves at least so many unknown things above it, else extrapolated."""

_TOLERANCE = 0.9
"""Confidence with which an extrapolated threshold keeps to the budget."""

_LEAST_SPREAD = 1e-3

_LEAST_LOGIT = 0.0
"""Nothing is called known that is more likely wrong than right, however lenient the budget."""

_SPARED = 0.05
"""Share of right answers given up for caution while few strangers have been seen."""

_CLOSE = 0.05
"""Share of right answers whose margin counts as close."""

MAX_LOGIT = 12.0
"""Confidences stop at 1 - 6e-6: nothing here is known better than that."""

CERTAIN = float(expit(MAX_LOGIT))
"""The highest confidence there is; no threshold lies above it."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for the best candidate of each of n queries; every field (n,).

    Attributes:
        score: of the label, with a part of what verification found (`index.pipeline.Verification.presence`).
        margin: over the best other label, with all of that; below 0 for a label that is not best.
        penalty: the query's.
        share: log of the label's part in a softmax of scores over all ranked labels and the distractors.
    """

    score: Floats
    margin: Floats
    penalty: Floats
    share: Floats

    def matrix(self) -> Floats:
        """(n, 4): the fields in their order, the penalty turned round so that more is always better."""
        return np.stack([self.score, self.margin, -self.penalty, self.share], axis=1)

    @classmethod
    def join(cls, parts: Sequence[Evidence]) -> Evidence:
        """Of all the queries of several."""
        if not parts:
            return cls(*(np.empty(0) for _ in range(4)))
        return cls(*(np.concatenate(columns) for columns in zip(*(part.columns() for part in parts), strict=True)))

    def columns(self) -> tuple[Floats, ...]:
        """In the order of the fields."""
        return self.score, self.margin, self.penalty, self.share

    def where(self, chosen: NDArray[np.bool_]) -> Evidence:
        """Of some of the queries."""
        return Evidence(*(column[chosen] for column in self.columns()))


@dataclass(frozen=True, slots=True)
class Samples:
    """Queries with known answers.

    Attributes:
        evidence: of their best candidates.
        known: whether what they show is in the gallery, (n,).
        right: whether the best candidate is right, (n,).
        things: what each shows, as a number of its own for each thing, (n,). Photos of one thing are alike, so it is
            things, not photos, that say how much is known about strangers.
    """

    evidence: Evidence
    known: NDArray[np.bool_]
    right: NDArray[np.bool_]
    things: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.known)


class Calibration(BaseModel):
    """A fitted calibration: what it takes to turn evidence into confidence, and confidence into a verdict.

    Attributes:
        score_weight, margin_weight, penalty_weight, share_weight, intercept: the logit is the intercept
            and the sum of each weight times its measure; the penalty's part is taken away.
        threshold: smallest confidence of a `known` verdict.
        far_budget: the false-accept rate it was set for.
        unknown_prior: share of unknown things among the queries that the confidence assumes.
        close_margin: a margin that all but one in twenty right answers exceed; a smaller one tells little.
        source: `labelled` queries, the `gallery` itself, or, for galleries too small to ask themselves, the bundle's
            `background` photos.
        n_known, n_unknown: queries it was fitted on.
        far_interval: 95 % interval of the false-accept rate, from the strangers that the threshold was set on: as many
            observations as they are different things. Wide where those are few.
        threshold_kind: `counted` (an order statistic) or `extrapolated` (see `threshold_logit`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    score_weight: float = Field(ge=0)
    margin_weight: float = Field(ge=0)
    penalty_weight: float = Field(ge=0)
    share_weight: float = Field(ge=0)
    intercept: float
    threshold: float = Field(ge=0, le=1)
    far_budget: float = Field(gt=0, lt=1)
    unknown_prior: float = Field(ge=0, le=1)
    close_margin: float = Field(ge=0)
    source: Source
    n_known: int
    n_unknown: int
    far_interval: tuple[float, float] = (0.0, 1.0)
    threshold_kind: Literal["counted", "extrapolated"]

    def logits(self, evidence: Evidence) -> Floats:
        """Shape (n,), within ±`MAX_LOGIT`."""
        weights = np.array([self.score_weight, self.margin_weight, self.penalty_weight, self.share_weight])
        return np.clip(_linear(evidence.matrix(), weights, self.intercept), -MAX_LOGIT, MAX_LOGIT)

    def confidences(self, evidence: Evidence) -> Floats:
        """Probability that each candidate is right, shape (n,)."""
        return np.asarray(expit(self.logits(evidence)), np.float64)


def fit(
    samples: Samples,
    *,
    far_budget: float,
    source: Source,
    unknown_prior: float | None = None,
    use_margin: bool = True,
    strangers: Samples | None = None,
    apart: bool = False,
) -> Calibration:
    """Fit the confidence on `samples` and set the threshold for `far_budget`.

    The threshold is that of `threshold_logit`. Where that had to be extrapolated from few strangers and right answers
    stand well above it, it is raised as far as costs one right answer in twenty: strangers unlike those seen will come.

    Args:
        samples: at least one known and one unknown query.
        far_budget: accepted share of unknown queries that get a `known` verdict, within 0..1.
        source: where the samples come from.
        unknown_prior: share of unknown queries to assume; None takes the samples' own.
        use_margin: False in a gallery where the best label has no rival; then neither margin nor share say anything.
        strangers: further unknown queries, for the threshold alone.
        apart: they are the harder strangers: the threshold of `samples` is raised to the tail of theirs, if that lies
            higher. Else they are pooled with the unknown queries of `samples`, and the threshold of all is raised to
            the tail of those of `samples` alone, if that lies higher.

    Raises:
        NotCalibratable: no known or no unknown query.
    """
    n_known, n_unknown = int(samples.known.sum()), int((~samples.known).sum())
    if n_known == 0 or n_unknown == 0:
        raise NotCalibratable(
            f"calibration needs queries of known and of unknown things; got {n_known} known and {n_unknown} unknown",
            known=n_known,
            unknown=n_unknown,
        )
    prior = n_unknown / (n_known + n_unknown) if unknown_prior is None else unknown_prior
    sample_weights = np.where(samples.known, (1 - prior) / n_known, prior / n_unknown) * len(samples)
    matrix = samples.evidence.matrix()
    usable = np.array([True, use_margin, bool(np.any(samples.evidence.penalty)), use_margin])
    weights, intercept = _logistic(matrix, samples.right, sample_weights, usable)
    logit, kind, unknown_logits, things = _limit(samples, strangers, (weights, intercept), far_budget, apart=apart)
    if kind == "extrapolated" and samples.right.any():
        right_logits = _linear(matrix[samples.right], weights, intercept)
        logit = max(logit, float(np.quantile(right_logits, _SPARED)))
    logit = float(np.clip(logit, _LEAST_LOGIT, MAX_LOGIT))
    return Calibration(
        score_weight=weights[0],
        margin_weight=weights[1],
        penalty_weight=weights[2],
        share_weight=weights[3],
        intercept=intercept,
        threshold=float(expit(logit)),
        far_budget=far_budget,
        unknown_prior=prior,
        close_margin=_close_margin(samples) if use_margin else 0.0,
        source=source,
        n_known=n_known,
        n_unknown=n_unknown,
        far_interval=_interval(float((unknown_logits >= logit).mean()), things),
        threshold_kind=kind,
    )


def _limit(
    samples: Samples, strangers: Samples | None, model: tuple[Floats, float], far_budget: float, *, apart: bool
) -> tuple[float, Literal["counted", "extrapolated"], Floats, int]:
    """The logit to reach, how it was found, and the unknown queries that it was found on: their logits, and how many
    things they show."""
    pool = [samples] if strangers is None or apart else [samples, strangers]
    logits, things = _unknown_logits(pool, *model), _unknown_things(pool)
    limit, kind = threshold_logit(logits, far_budget, things)
    if strangers is None:
        return limit, kind, logits, things
    # Those that may be the harder ones by themselves, without the tolerance for few things, which `limit` has already.
    # Labelled strangers are harder than the gallery's own where the bundle was trained on the gallery's photos.
    harder = [strangers if apart else samples]
    strange = _unknown_logits(harder, *model)
    tail = _exponential_tail(np.sort(strange), far_budget)
    if tail > limit:
        return tail, "extrapolated", strange, _unknown_things(harder)
    return limit, kind, logits, things


def _unknown_logits(pool: Sequence[Samples], weights: Floats, intercept: float) -> Floats:
    logits = [_linear(part.evidence.matrix()[~part.known], weights, intercept) for part in pool]
    return np.clip(np.concatenate(logits), -MAX_LOGIT, MAX_LOGIT)


def _unknown_things(pool: Sequence[Samples]) -> int:
    return len(set().union(*(part.things[~part.known].tolist() for part in pool)))


def _interval(accepted: float, things: int) -> tuple[float, float]:
    """95 % interval of a share (Clopper and Pearson 1934), as if each thing had been seen once: photos of one thing are
    alike, and counting each would claim more than is known.

    Args:
        accepted: share of the photos.
        things: that they show.
    """
    hits = accepted * things
    low = float(beta.ppf(0.025, hits, things - hits + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(0.975, hits + 1, things - hits)) if hits < things else 1.0
    return low, high


def threshold_logit(
    unknown: Floats, far_budget: float, things: int
) -> tuple[float, Literal["counted", "extrapolated"]]:
    """The logit that a share `far_budget` of unknown queries reaches.

    With photos of enough things it is counted: the conformal order statistic, which a new unknown query exceeds with
    at most that chance (Vovk et al., Algorithmic Learning in a Random World, 2005). With fewer, the higher of two
    extrapolations: the largest taken for an exponential tail (peaks over threshold with shape 0, Pickands 1975), and
    the one-sided normal tolerance limit for as many things (Hahn and Meeker, Statistical Intervals, 1991), which holds
    the budget with 90 % confidence. So little data costs acceptance, not false accepts.

    Args:
        unknown: (n,) logits of unknown queries, n >= 1.
        far_budget: within 0..1.
        things: how many different things they show, 1..n.
    """
    ordered = np.sort(unknown)
    if far_budget * (things + 1) >= _COUNTED:
        above = math.floor(far_budget * (len(ordered) + 1))
        return float(np.nextafter(ordered[len(ordered) - above], np.inf)), "counted"
    return max(_exponential_tail(ordered, far_budget), _tolerance_limit(ordered, far_budget, things)), "extrapolated"


def _exponential_tail(ordered: Floats, far_budget: float) -> float:
    n = len(ordered)
    tail = min(max(_FEWEST_TAIL, round(_TAIL * n)), n)
    start = ordered[n - tail]
    # Divided by one less than the points: few points say little, so their mean excess is taken wider.
    excess = float((ordered[n - tail :] - start).sum()) / max(tail - 1, 1)
    return float(start + max(excess, _LEAST_SPREAD) * math.log(max(tail / n / far_budget, 1.0)))


def _tolerance_limit(ordered: Floats, far_budget: float, things: int) -> float:
    things = max(things, 2)
    quantile = math.sqrt(things) * float(norm.ppf(1 - far_budget))
    factor = float(nct.ppf(_TOLERANCE, things - 1, quantile)) / math.sqrt(things)
    return float(ordered.mean()) + factor * max(float(ordered.std()), _LEAST_SPREAD)


def _close_margin(samples: Samples) -> float:
    margins = samples.evidence.margin[samples.right]
    return max(float(np.quantile(margins, _CLOSE)), 0.0) if len(margins) else 0.0


def _linear(matrix: Floats, weights: Floats, intercept: float) -> Floats:
    # einsum, not BLAS: the same digits for one query as for many.
    return np.asarray(np.einsum("nf,f->n", matrix, weights) + intercept, np.float64)


def _logistic(
    matrix: Floats, right: NDArray[np.bool_], sample_weights: Floats, usable: NDArray[np.bool_]
) -> tuple[Floats, float]:
    """Ridge-penalised logistic regression with weights of at least 0; features not usable get weight 0."""
    centre, scale = matrix.mean(axis=0), np.maximum(matrix.std(axis=0), 1e-6)
    standard = (matrix - centre) / scale
    signs = np.where(right, 1.0, -1.0)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        weights, intercept = parameters[:-1], parameters[-1]
        agreement = signs * (standard @ weights + intercept)
        pull = sample_weights * signs * -expit(-agreement)
        value = float((sample_weights * np.logaddexp(0, -agreement)).sum() + _RIDGE / 2 * (weights**2).sum())
        return value, np.append(standard.T @ pull + _RIDGE * weights, pull.sum())

    bounds = [(0.0, None if use else 0.0) for use in usable] + [(None, None)]
    found = minimize(loss, np.zeros(len(usable) + 1), jac=True, bounds=bounds, method="L-BFGS-B")
    weights = np.asarray(found.x[:-1] / scale, np.float64)
    return weights, float(found.x[-1] - weights @ centre)
