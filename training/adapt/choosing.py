"""Which map, if any, is better than none: by its figures on folds, and never at the cost of what was not fitted on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from training.adapt.features import Features
from training.adapt.head import HeadSpec, fit_head
from training.adapt.trial import Figures, Fit, Fold, Map, tried
from training.adapt.whitening import SHRINKAGES, fit_whitening

__all__ = ["ERRORS", "MAY_FALL", "Candidate", "Method", "Outcome", "better", "candidates", "try_all"]

Method: TypeAlias = Literal["auto", "whitening", "head"]

MAY_FALL = 0.005
"""How much any of the three figures may fall on the mean of the folds."""

ERRORS = 1.0
"""Standard errors by which the mean gain must lie above nought. Not more: with 200 photos the error is as large as real
gains are, and a map that changes nothing does no harm; what does harm shows in one of the three figures."""


@dataclass(frozen=True)
class Candidate:
    """A way to fit a map.

    Attributes:
        name: in words, for tables and the manifest.
        fit: photos -> map.
    """

    name: str
    fit: Fit


@dataclass(frozen=True)
class Outcome:
    """What a candidate came to.

    Attributes:
        candidate: which.
        figures: (folds, 3) with its maps.
        before: (folds, 3) without any map.
    """

    candidate: Candidate
    figures: NDArray[np.float64]
    before: NDArray[np.float64]

    @property
    def mean(self) -> Figures:
        return _figures(np.nanmean(self.figures, axis=0))

    @property
    def gains(self) -> Figures:
        return _figures(self._gains().mean(axis=0))

    @property
    def gain(self) -> float:
        """Mean gain over the three figures."""
        return float(self._gains().mean())

    @property
    def error(self) -> float:
        """Standard error of `gain` over the folds."""
        by_fold = self._gains().mean(axis=1)
        return float(by_fold.std(ddof=1) / np.sqrt(len(by_fold)))

    @property
    def hurts(self) -> bool:
        """Whether one of the three falls by more than `MAY_FALL`."""
        return bool((self._gains().mean(axis=0) < -MAY_FALL).any())

    @property
    def is_better(self) -> bool:
        """It hurts nothing, and gains more than its standard error."""
        return not self.hurts and self.gain > 0 and self.gain > ERRORS * self.error

    def _gains(self) -> NDArray[np.float64]:
        # A fold in which a figure is not defined says nothing of it.
        return np.nan_to_num(self.figures - self.before)


def candidates(method: Method) -> Iterator[Candidate]:
    """What is tried: whitening of several strengths; heads that start from nothing, or from a whitening, and go half or
    all of the way."""
    if method in ("auto", "whitening"):
        for shrinkage in SHRINKAGES:
            yield Candidate(f"whitening, shrinkage {shrinkage:g}", partial(fit_whitening, shrinkage=shrinkage))
    if method in ("auto", "head"):
        for share in (0.5, 1.0):
            yield Candidate(f"head, {share:.0%} of the way", partial(fit_head, spec=HeadSpec(share=share)))
        yield Candidate("head from a whitening, 50% of the way", _head_from_whitening)


def _head_from_whitening(features: Features) -> Map:
    return fit_head(features, HeadSpec(share=0.5, tether=0.1), fit_whitening(features, 0.3))


def try_all(
    chosen: Sequence[Candidate], divided: Sequence[Fold], progress: Callable[[str, int, int], None] | None = None
) -> list[Outcome]:
    """Every candidate on every fold.

    Args:
        chosen: to try.
        divided: see `training.adapt.trial.folds`.
        progress: told what is done.
    """
    before = tried(None, divided)
    outcomes = []
    for number, one in enumerate(chosen, 1):
        outcomes.append(Outcome(one, tried(one.fit, divided), before))
        if progress:
            progress("trying maps on folds", number, len(chosen))
    return outcomes


def better(outcomes: Sequence[Outcome]) -> Outcome | None:
    """The one that gains most among those that are better than no map; None where none is."""
    return max((one for one in outcomes if one.is_better), key=lambda one: one.gain, default=None)


def _figures(values: NDArray[np.float64]) -> Figures:
    seen, unseen, auroc = values.tolist()
    return Figures(seen, unseen, auroc)
