"""Queries with known answers that a gallery can ask itself, so that it calibrates without anybody labelling anything.

- A photo of a label that has others is a *known* query: it is asked about with itself left out (leave one out).
- A simulated re-photograph of a label's only photo is a known query too: nothing is left out.
- Every one of these is also an *unknown* query when its whole label is left out (leave label out): the other labels of
  the gallery look like what a stranger of the same kind will meet. That teaches more than photos from elsewhere do.
- A photo that several labels hold is asked about without the others of them: they do not show another thing.
- A gallery with too few labels for that asks about its own distractors, and then about the bundle's background photos.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from index.calibration import Calibration, Evidence, Samples, Source, fit
from index.distractors import mean_top_k
from index.ranking import NEIGHBOURS, SAME_PHOTO, LabelPhotos, RankedLabel, margins, rank_labels
from index.recognizer import Recognizer

__all__ = ["MOST_VIEWED_ITEMS", "VIEWS", "LabelledQueries", "calibrate"]

VIEWS = 2
"""Simulated re-photographs of an enrolled photo."""

MOST_VIEWED_ITEMS = 256
"""Photos of a gallery that get them: a sample is enough to calibrate on, and they take time."""

MOST_ITEMS = 1000
"""Items that are asked about; more would take longer and say the same."""

UNKNOWN_PRIOR = 0.5
"""Share of strangers assumed among the queries, where nobody has labelled any."""

_FEWEST_KNOWN = 8
_FEWEST_UNKNOWN = 8
_SAME_PHOTO = 0.95
"""A background photo as similar as this to an item is taken for the same photo, and left aside."""


@dataclass(frozen=True, slots=True)
class LabelledQueries:
    """Queries whose right label is known: embeddings (n, d) and labels (n,). A label that is not in the gallery makes
    a query of an unknown thing."""

    embeddings: NDArray[np.float32]
    labels: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Asked:
    """The best candidate of one simulated query; `thing` names what it shows."""

    thing: str
    score: float
    margin: float
    penalty: float
    known: bool
    right: bool


def calibrate(
    recognizer: Recognizer, *, far_budget: float | None = None, labelled: LabelledQueries | None = None
) -> Calibration:
    """Fit a calibration for a gallery; it is returned, not set.

    Args:
        recognizer: the gallery.
        far_budget: the recogniser's own unless given.
        labelled: real queries to fit the confidence on, instead of the gallery itself. The gallery still asks itself
            about strangers, for the threshold.

    Raises:
        NotCalibratable: nothing can be asked: no items, or neither labelled queries nor views nor background.
    """
    budget = recognizer.far_budget if far_budget is None else far_budget
    use_margin = recognizer.table.count_labels() > 2
    if labelled is not None:
        asked = _ask_labelled(recognizer, labelled)
        strangers = _samples([query for query in _ask_items(recognizer) if not query.known])
        return fit(_samples(asked), far_budget=budget, source="labelled", use_margin=use_margin, strangers=strangers)
    asked = _ask_items(recognizer)
    source: Source = "gallery"
    if sum(not query.known for query in asked) < _FEWEST_UNKNOWN:
        asked += _ask_strangers(recognizer, recognizer.distractors.matrix(), among_themselves=True)
    if sum(not query.known for query in asked) < _FEWEST_UNKNOWN:
        source = "background"
        asked += _ask_strangers(recognizer, _background(recognizer)[0], among_themselves=False)
    if sum(query.known for query in asked) < _FEWEST_KNOWN:
        source = "background"
        asked += _ask_background_as_known(recognizer)
    return fit(_samples(asked), far_budget=budget, source=source, unknown_prior=UNKNOWN_PRIOR, use_margin=use_margin)


def _ask_items(recognizer: Recognizer) -> list[_Asked]:
    """Leave-one-out and leave-label-out queries from the items and their views."""
    asked: list[_Asked] = []
    numbers = recognizer.index.numbers()
    if len(numbers) > MOST_ITEMS:
        numbers = np.sort(np.random.default_rng(0).choice(numbers, MOST_ITEMS, replace=False))
    for number in numbers.tolist():
        label = recognizer.table.label(number)
        photos = recognizer.photos(label)
        embedding = recognizer.index.reconstruct(np.array([number]))
        same = _labels_holding(recognizer, embedding) | {label}
        if len(photos.numbers) > 1:
            others = photos.numbers != number
            rest = LabelPhotos(label, photos.numbers[others], photos.vectors[others])
            asked += _ask_with_and_without(recognizer, embedding, rest, same)
        else:
            asked += _without(recognizer, embedding, label, same)
            asked += _ask_with_and_without(recognizer, recognizer.views.get(number, embedding[:0]), photos, same)
    return asked


def _labels_holding(recognizer: Recognizer, photo: NDArray[np.float32]) -> set[str]:
    """The labels that hold this very photo, (1, d)."""
    similarities, numbers = recognizer.index.search(photo, min(NEIGHBOURS, len(recognizer)))
    return set(recognizer.table.labels_of(numbers[similarities >= SAME_PHOTO].tolist()))


def _ask_with_and_without(
    recognizer: Recognizer, queries: NDArray[np.float32], own: LabelPhotos, same: set[str]
) -> list[_Asked]:
    """Each query once with `own` as its label's photos (a known query), once without the label (an unknown one).

    Args:
        same: labels that show the same thing, the query's own among them.
    """
    asked = []
    penalties = recognizer.distractors.penalties(queries)
    for query, penalty, others in zip(queries, penalties, _rank_others(recognizer, queries, same), strict=True):
        ranked = sorted([*others, *rank_labels(query, [own])], key=lambda entry: (-entry.score, entry.label))
        asked.append(_best(own.label, ranked, float(penalty), known=True, right=ranked[0].label == own.label))
        if others:
            asked.append(_best(own.label, others, float(penalty), known=False, right=False))
    return asked


def _without(recognizer: Recognizer, queries: NDArray[np.float32], label: str, same: set[str]) -> list[_Asked]:
    penalties = recognizer.distractors.penalties(queries)
    return [
        _best(label, others, float(penalty), known=False, right=False)
        for penalty, others in zip(penalties, _rank_others(recognizer, queries, same), strict=True)
        if others
    ]


def _rank_others(recognizer: Recognizer, queries: NDArray[np.float32], same: set[str]) -> list[list[RankedLabel]]:
    """Rank every label but those of `same`."""
    own = sum(len(recognizer.photos(label).numbers) for label in same)
    return [
        [entry for entry in ranked if entry.label not in same]
        for ranked in recognizer.rank(queries, neighbours=NEIGHBOURS + own)
    ]


def _ask_strangers(recognizer: Recognizer, strangers: NDArray[np.float32], *, among_themselves: bool) -> list[_Asked]:
    """Unknown queries; `among_themselves` when they are the distractors, whose penalty must not count themselves."""
    if len(strangers) == 0 or len(recognizer) == 0:
        return []
    strangers = strangers[:MOST_ITEMS]
    if among_themselves:
        rest = recognizer.distractors.matrix()
        penalties = np.array(
            [mean_top_k(strangers[i : i + 1], np.delete(rest, i, axis=0))[0] for i in range(len(strangers))]
        )
    else:
        penalties = recognizer.distractors.penalties(strangers)
    return [
        _best(f"stranger {at}", ranked, float(penalty), known=False, right=False)
        for at, (ranked, penalty) in enumerate(zip(recognizer.rank(strangers), penalties, strict=True))
    ]


def _ask_background_as_known(recognizer: Recognizer) -> list[_Asked]:
    """Views of background photos, each photo enrolled for the moment as a label of its own."""
    asked = []
    photos, views = _background(recognizer)
    for at, (photo, own_views) in enumerate(zip(photos, views, strict=True)):
        enrolled = LabelPhotos("", np.array([-1]), photo[None].astype(np.float64))
        penalties = recognizer.distractors.penalties(own_views)
        ranks = recognizer.rank(own_views) if len(recognizer) else [[] for _ in own_views]
        for view, penalty, others in zip(own_views, penalties, ranks, strict=True):
            ranked = sorted([*others, *rank_labels(view, [enrolled])], key=lambda entry: (-entry.score, entry.label))
            asked.append(_best(f"stranger {at}", ranked, float(penalty), known=True, right=ranked[0].label == ""))
    return asked


def _ask_labelled(recognizer: Recognizer, labelled: LabelledQueries) -> list[_Asked]:
    penalties = recognizer.distractors.penalties(labelled.embeddings)
    labels = recognizer.labels()
    return [
        _best(label, ranked, float(penalty), known=label in labels, right=ranked[0].label == label)
        for ranked, penalty, label in zip(recognizer.rank(labelled.embeddings), penalties, labelled.labels, strict=True)
        if ranked
    ]


def _background(recognizer: Recognizer) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The bundle's background photos and views, but for those that the gallery itself holds."""
    background = recognizer.background
    if len(recognizer) == 0 or len(background) == 0:
        return background.photos, background.views
    nearest, _ = recognizer.index.search(background.photos, 1)
    strange = nearest[:, 0] < _SAME_PHOTO
    return background.photos[strange], background.views[strange]


def _best(thing: str, ranked: list[RankedLabel], penalty: float, *, known: bool, right: bool) -> _Asked:
    scores = np.array([entry.score for entry in ranked[:2]])
    return _Asked(thing, float(scores[0]), float(margins(scores)[0]), penalty, known, right)


def _samples(asked: list[_Asked]) -> Samples:
    codes: dict[str, int] = {}
    return Samples(
        Evidence(*(np.array([getattr(query, name) for query in asked]) for name in ("score", "margin", "penalty"))),
        known=np.array([query.known for query in asked], np.bool_),
        right=np.array([query.right for query in asked], np.bool_),
        things=np.array([codes.setdefault(query.thing, len(codes)) for query in asked], np.int64),
    )
