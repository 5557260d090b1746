"""How sure is a figure? Intervals for rates, and for any statistic of a sample of queries."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

__all__ = ["bootstrap_interval", "clopper_pearson"]


def clopper_pearson(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a rate: every p that would not be refused by a two-sided binomial test.

    Clopper & Pearson, Biometrika 26 (1934). It covers at least `level`, also for 0 of n (upper end about
    3.7 / n at 95 %), where the usual normal interval has no width. Without trials nothing is known: (0, 1).

    Raises:
        ValueError: not 0 <= successes <= trials, or a level outside 0..1.
    """
    if not 0 <= successes <= trials or not 0 < level < 1:
        raise ValueError(f"0 <= successes <= trials and 0 < level < 1; got {successes} of {trials} at {level}")
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(beta.ppf(tail, successes, trials - successes + 1))
    high = 1.0 if successes == trials else float(beta.ppf(1 - tail, successes + 1, trials - successes))
    return low, high


def bootstrap_interval(
    statistic: Callable[[NDArray[np.intp]], float],
    n: int,
    *,
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap: the statistic on `samples` redraws of the n queries, with replacement.

    Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics 7 (1979). The same seed
    gives the same interval.

    Args:
        statistic: takes (n,) positions of queries, gives a number; nan results (a redraw without one side)
            are left out.
        n: how many queries there are.

    Returns:
        Low and high end; (nan, nan) without queries or when every redraw is nan.
    """
    if n == 0:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    drawn = np.array([statistic(rng.integers(0, n, n)) for _ in range(samples)])
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        return float("nan"), float("nan")
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
