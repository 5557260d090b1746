"""Which form of ranking suits a gallery: the one that answers best when it is asked about its own photos.

The blend serves nearly every gallery (docs/quality.md). Labels that look different from different sides are better
served by their nearest photo: the mean of a front and a back resembles neither. Another form is taken only where the
gallery shows it beyond chance, so that a gallery too small to tell keeps the blend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from index.pipeline import Aggregation, Ranking
from index.simulation import Asked
from index.tuning import Choice

__all__ = ["beyond_chance", "choose_ranking"]

_OTHERS: Final[tuple[Aggregation, ...]] = ("max", "top_k_mean", "prototype")
_CHANCE: Final = 0.05
"""With which any of the other forms may be taken by mistake."""

_FEWEST: Final = 8
"""Known queries worth comparing on."""


def choose_ranking(wanted: Ranking, ask: Callable[[Ranking], Sequence[Asked]]) -> tuple[Ranking | None, Choice]:
    """The form that a gallery takes, and why.

    Forms are compared on the same queries by the exact sign test of those that only one of the two answers rightly
    (McNemar 1947; Bonferroni's bound over the forms).

    Args:
        wanted: what the pipeline says; anything but `auto` is taken as it is.
        ask: the same queries, in the same order, in a form of ranking.

    Returns:
        None where the pipeline itself names the form.
    """
    if wanted.aggregation != "auto":
        return None, Choice(part="ranking", used=wanted.aggregation != "blend", why="on", form=wanted.aggregation)
    blend = _in_form(wanted, "blend")
    right = _right(ask(blend))
    if len(right) < _FEWEST:
        return blend, Choice(part="ranking", used=False, why="default")
    others = {form: _right(ask(_in_form(wanted, form))) for form in _OTHERS}
    best = max(others, key=lambda form: int(others[form].sum()))  # of equals the first
    better = beyond_chance(right, others[best], _CHANCE / len(_OTHERS))
    choice = Choice(
        part="ranking",
        used=better,
        why="measured",
        without=float(right.mean()),
        with_=float(others[best].mean()),
        queries=len(right),
        form=best,
    )
    return _in_form(wanted, best) if better else blend, choice


def _in_form(ranking: Ranking, form: Aggregation) -> Ranking:
    return ranking.model_copy(update={"aggregation": form})


def _right(asked: Sequence[Asked]) -> NDArray[np.bool_]:
    return np.array([query.right for query in asked if query.known], np.bool_)


def beyond_chance(one: NDArray[np.bool_], other: NDArray[np.bool_], chance: float) -> bool:
    """Whether the second of two ways to answer the same queries (n,) is right more often: the exact sign test of those
    that only one of the two answers rightly (McNemar 1947), wrong with probability `chance` at most."""
    gained, lost = int((other & ~one).sum()), int((one & ~other).sum())
    if gained <= lost:
        return False
    return bool(binomtest(gained, gained + lost, 0.5, alternative="greater").pvalue < chance)
