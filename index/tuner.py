"""How a gallery learns: it asks itself, or is asked labelled queries, and keeps what answers best.

1. Adaptation: fitted on the photos of each label. Its worth is measured on labels that it was not fitted on.
2. Centring: from labelled queries, the only ones that show where queries lie, likewise.
3. Ranking: another form than the blend, where it answers better beyond chance.
4. Verification: a sample of the queries is asked again with local features.
5. Calibration: on the answers of the pipeline as chosen.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from index.adaptation import Adaptation, Centres, centred
from index.calibration import Calibration, Source, fit
from index.errors import NotCalibratable
from index.folds import FOLDS, Folds
from index.labelled import LabelledQueries
from index.pipeline import Ranking
from index.ranking_form import beyond_chance, choose_ranking
from index.recognizer import Recognizer
from index.simulation import MOST_ITEMS, Asked, Simulation, samples_of
from index.space import Space
from index.tuning import Choice, Tuning, TuningBody

__all__ = ["UNKNOWN_PRIOR", "tune"]

Rights: TypeAlias = NDArray[np.bool_]

UNKNOWN_PRIOR = 0.5
"""Share of strangers assumed among the queries, where nobody has labelled any or said how many there are."""

_FEWEST_KNOWN = 8
_FEWEST_UNKNOWN = 8

_MOST_COMPARED = 400
"""Items that are asked about in every form of ranking."""

_MOST_VERIFIED = 200
"""Items that are asked about with verification: each costs some twenty comparisons of photos."""

_MOST_CHANGED = 1 / 3
"""Share of strangers for which verification may put another label first. Packs of one brand change few (0 to 15 % were
seen); where any photo has something in common with any other, as drawings have, most change (60 to 70 %)."""

_CHANCE = 0.05
"""With which queries may show by mistake that a part answers better, or worse."""

_FEWEST_FEATURES = 32
"""Local features that the middle photo of a gallery must have for verification to be worth a thought."""


def tune(
    recognizer: Recognizer,
    *,
    far_budget: float | None = None,
    labelled: LabelledQueries | None = None,
    strangers: LabelledQueries | None = None,
) -> Tuning:
    """Learn what there is to learn about a gallery; the result is returned, not set.

    Args:
        recognizer: the gallery, which must not change meanwhile.
        far_budget: the recogniser's own unless given.
        labelled: real queries to choose and to fit the confidence on, instead of the gallery itself. The gallery still
            asks itself about strangers, for the threshold.
        strangers: real queries of unknown things, for the threshold alone, where `labelled` is None.

    Raises:
        NotCalibratable: nothing can be asked: no items, or neither labelled queries nor views nor background.
    """
    budget = recognizer.far_budget if far_budget is None else far_budget
    numbers = _sample(recognizer.index.numbers(), MOST_ITEMS)
    folds = Folds(recognizer)
    adapted, adaptation_choice = _choose_adaptation(recognizer, folds, numbers, labelled)
    adaptation = folds.whole if adapted else None
    centres, centring_choice = _choose_centring(recognizer, adaptation, labelled)
    uncentred = recognizer.space_with(adaptation)
    space = uncentred if centres is None else recognizer.space_with(centred(adaptation, centres))
    # The gallery's own photos are no queries: they are asked about without centring.
    own_space = folds.space_of if adapted else lambda _: uncentred
    ranking, ranking_choice = choose_ranking(
        recognizer.pipeline.ranking, _asked_in_forms(recognizer, own_space, space, numbers, labelled)
    )
    simulation = Simulation(recognizer, own_space, ranking)
    asker = _Asker(recognizer, simulation, space, numbers, labelled, strangers, budget)
    verified, verification_choice = _choose_verification(recognizer, asker, numbers, labelled)
    calibration = asker.verified if verified else asker.plain
    choices = (adaptation_choice, centring_choice, ranking_choice, verification_choice)
    body = TuningBody(calibration=calibration, verification=verified, choices=choices, ranking=ranking)
    return Tuning(body, space.adaptation)


# ---------------------------------------------------------------- adaptation


def _choose_adaptation(
    recognizer: Recognizer, folds: Folds, numbers: list[int], labelled: LabelledQueries | None
) -> tuple[bool, Choice]:
    switch = recognizer.pipeline.adaptation.wccn
    if folds.whole is None or switch == "off":
        return False, Choice(part="adaptation", used=False, why="off" if switch == "off" else "default")
    if switch == "on":
        return True, Choice(part="adaptation", used=True, why="on")
    plain, whole = recognizer.space_with(None), recognizer.space_with(folds.whole)
    used, choice = _compared(
        "adaptation",
        Simulation(recognizer, lambda _: plain).items(numbers),
        Simulation(recognizer, folds.space_of).items(numbers),
        used=lambda without, with_: without.mean() < with_.mean(),
    )
    if labelled is None:
        return used, choice
    # The gallery has more photos of its own than there are labelled queries: these have to prove it wrong.
    simulation = Simulation(recognizer, lambda _: plain)
    return _compared(
        "adaptation",
        simulation.labelled(labelled, lambda _: plain),
        simulation.labelled(labelled, lambda _: whole),
        used=lambda without, with_: (
            not beyond_chance(with_, without, _CHANCE) if used else beyond_chance(without, with_, _CHANCE)
        ),
    )


# ---------------------------------------------------------------- centring


def _choose_centring(
    recognizer: Recognizer, adaptation: Adaptation | None, labelled: LabelledQueries | None
) -> tuple[Centres | None, Choice]:
    """On top of `adaptation`. Each query is asked with the mean of queries of other things than its own."""
    switch = recognizer.pipeline.adaptation.centring
    if labelled is None and switch == "on":
        raise NotCalibratable("centring takes the mean of queries away, and so needs labelled queries; there are none")
    if labelled is None or switch == "off":
        return None, Choice(part="centring", used=False, why="off" if switch == "off" else "default")
    gallery = _mean_of_labels(recognizer)
    whole = Centres(gallery, labelled.embeddings.mean(axis=0))
    if switch == "on":
        return whole, Choice(part="centring", used=True, why="on")
    folds = np.array([_fold_by_name(label) for label in labelled.labels])
    if len(np.unique(folds)) < FOLDS:
        return None, Choice(part="centring", used=False, why="default")
    spaces = [
        recognizer.space_with(centred(adaptation, Centres(gallery, labelled.embeddings[folds != fold].mean(axis=0))))
        for fold in range(FOLDS)
    ]
    uncentred = recognizer.space_with(adaptation)
    without = Simulation(recognizer, lambda _: uncentred).labelled(labelled, lambda _: uncentred)
    with_ = Simulation(recognizer, lambda _: uncentred).labelled(labelled, lambda label: spaces[_fold_by_name(label)])
    used, choice = _compared(
        "centring", without, with_, used=lambda without, with_: beyond_chance(without, with_, _CHANCE)
    )
    return whole if used else None, choice


def _fold_by_name(label: str) -> int:
    return zlib.crc32(label.encode()) % FOLDS


def _mean_of_labels(recognizer: Recognizer) -> NDArray[np.float32]:
    """Each label counts alike, however many photos it has."""
    means = [
        recognizer.index.reconstruct(recognizer.table.of_label(label)).mean(axis=0) for label in recognizer.labels()
    ]
    return np.asarray(np.mean(means, axis=0), np.float32)


# ---------------------------------------------------------------- ranking


def _asked_in_forms(
    recognizer: Recognizer,
    own_space: Callable[[str], Space],
    space: Space,
    numbers: list[int],
    labelled: LabelledQueries | None,
) -> Callable[[Ranking], Sequence[Asked]]:
    """Labelled queries or a sample of the gallery's own photos, asked in a form of ranking."""
    sample = _sample(np.array(numbers, np.int64), _MOST_COMPARED)

    def ask(ranking: Ranking) -> Sequence[Asked]:
        simulation = Simulation(recognizer, own_space, ranking)
        return simulation.items(sample) if labelled is None else simulation.labelled(labelled, lambda _: space)

    return ask


# ---------------------------------------------------------------- verification


def _choose_verification(
    recognizer: Recognizer, asker: _Asker, numbers: list[int], labelled: LabelledQueries | None
) -> tuple[bool, Choice]:
    """Whether verified answers are right at least as often and matches mean something: a stranger's are by chance, and
    must not shuffle the labels. Of its own photos a gallery asks more: that they come off with better confidence.
    """
    switch = recognizer.pipeline.verification.mode
    if switch == "off" or not _textured(recognizer, numbers):
        return False, Choice(part="verification", used=False, why="off" if switch == "off" else "measured")
    if switch == "on":
        return True, Choice(part="verification", used=True, why="on")
    simulation, space = asker.simulation, asker.space
    if labelled is not None and labelled.local is not None:
        without = simulation.labelled(labelled, lambda _: space)
        with_ = simulation.labelled(labelled, lambda _: space, verify=True)
    else:
        without, with_ = simulation.items(asker.sample, views=False), asker.verified_items
    if not with_:
        return True, Choice(part="verification", used=True, why="default")
    by_chance = _changed(without, with_) > _MOST_CHANGED
    if sum(query.known for query in with_) < _FEWEST_KNOWN:
        return not by_chance, Choice(part="verification", used=not by_chance, why="measured")
    # Real queries show by their right answers what verification is worth. So do a gallery's own photos where embeddings
    # alone miss many of them; where they find nearly all, it shows by the confidence.
    real = labelled is not None and labelled.local is not None
    better = (
        real
        or beyond_chance(_rights(without), _rights(with_), _CHANCE)
        or _loss(asker.plain, with_) <= _loss(asker.plain, without)
    )
    return _compared(
        "verification",
        without,
        with_,
        used=lambda without, with_: without.mean() <= with_.mean() and better and not by_chance,
    )


def _changed(without: Sequence[Asked], with_: Sequence[Asked]) -> float:
    """Share of strangers for which verification puts another label first; 0 without strangers."""
    pairs = [(a, b) for a, b in zip(without, with_, strict=True) if not a.known]
    changed = [a.ranked.labels[0].label != b.ranked.labels[0].label for a, b in pairs]
    return sum(changed) / len(changed) if changed else 0.0


def _loss(calibration: Calibration, asked: Sequence[Asked]) -> float:
    """Mean log loss of the confidences of known queries."""
    samples = samples_of([query for query in asked if query.known])
    signs = np.where(samples.right, 1.0, -1.0)
    return float(np.logaddexp(0, -signs * calibration.logits(samples.evidence)).mean())


def _textured(recognizer: Recognizer, numbers: list[int]) -> bool:
    """Whether the gallery's photos have local features to speak of."""
    counts = [_features(recognizer, number) for number in _sample(np.array(numbers), _MOST_VERIFIED)]
    return bool(counts) and float(np.median(counts)) >= _FEWEST_FEATURES


def _features(recognizer: Recognizer, number: int) -> int:
    features = recognizer.features.get(number)
    return 0 if features is None else len(features)


# ---------------------------------------------------------------- calibration


@dataclass(frozen=True)
class _Asker:
    """Asks with the pipeline as chosen, and calibrates on the answers."""

    recognizer: Recognizer
    simulation: Simulation
    space: Space
    numbers: list[int]
    labelled: LabelledQueries | None
    strangers: LabelledQueries | None
    budget: float

    @property
    def sample(self) -> list[int]:
        """The items that are asked about with verification."""
        return _sample(np.array(self.numbers, np.int64), _MOST_VERIFIED)

    @cached_property
    def verified_items(self) -> list[Asked]:
        """What the gallery answers about them."""
        return self.simulation.items(self.sample, verify=True)

    @cached_property
    def plain(self) -> Calibration:
        """Without a look at local features."""
        return self._calibrate(verify=False)

    @cached_property
    def verified(self) -> Calibration:
        """With it. Strangers are verified as they will be when they come: a pack of the same brand has much in common
        with one that is known, and a threshold that was set without looking would let it pass."""
        return self._calibrate(verify=True)

    def _calibrate(self, *, verify: bool) -> Calibration:
        """On labelled queries if there are any, else on what the gallery asks itself."""
        return self._by_itself(verify) if self.labelled is None else self._by_labelled(self.labelled, verify)

    def _by_labelled(self, labelled: LabelledQueries, verify: bool) -> Calibration:
        asked = self.simulation.labelled(labelled, lambda _: self.space, verify=verify)
        prior = self.recognizer.pipeline.unknown_share
        if _unknown(asked) < _FEWEST_UNKNOWN:  # whoever collects queries often keeps those alone that have an answer
            prior = prior or UNKNOWN_PRIOR
            asked += self.simulation.labelled(labelled, lambda _: self.space, verify=verify, without_label=True)
        items = self.verified_items if verify else self.simulation.items(self.numbers)
        return fit(
            samples_of(asked),
            far_budget=self.budget,
            source="labelled",
            unknown_prior=prior,
            use_margin=self._rivals,
            strangers=samples_of([query for query in items if not query.known]),
        )

    def _by_itself(self, verify: bool) -> Calibration:
        """The confidence is fitted without verification even where there will be some: photos of one visit match far
        better than a query does, and would make it expect matches of every known thing."""
        asked = self.simulation.items(self.numbers)
        strangers = [query for query in self.verified_items if not query.known] if verify else []
        if self.strangers is not None:
            strangers += self.simulation.labelled(self.strangers, lambda _: self.space, verify=verify)
        source: Source = "gallery"
        if _unknown(asked) < _FEWEST_UNKNOWN:
            asked += self.simulation.distractors(self.space)
        if _unknown(asked) < _FEWEST_UNKNOWN:
            source = "background"
            asked += self.simulation.background(self.space)
        if sum(query.known for query in asked) < _FEWEST_KNOWN:
            source = "background"
            asked += self.simulation.background_as_known(self.space)
        return fit(
            samples_of(asked),
            far_budget=self.budget,
            source=source,
            unknown_prior=self.recognizer.pipeline.unknown_share or UNKNOWN_PRIOR,
            use_margin=self._rivals,
            strangers=samples_of(strangers) if len(strangers) >= _FEWEST_UNKNOWN else None,
            apart=True,
        )

    @property
    def _rivals(self) -> bool:
        return self.recognizer.table.count_labels() > 2


def _compared(
    part: str, without: Sequence[Asked], with_: Sequence[Asked], *, used: Callable[[Rights, Rights], bool]
) -> tuple[bool, Choice]:
    """Whether a part is used, given which answers to known queries are right without and with it; off if too few were
    asked."""
    before, after = _rights(without), _rights(with_)
    if len(after) < _FEWEST_KNOWN:
        return False, Choice(part=part, used=False, why="default")
    chosen = used(before, after)
    return chosen, Choice(
        part=part,
        used=chosen,
        why="measured",
        without=float(before.mean()),
        with_=float(after.mean()),
        queries=len(after),
    )


def _rights(asked: Sequence[Asked]) -> Rights:
    return np.array([query.right for query in asked if query.known], np.bool_)


def _unknown(asked: Sequence[Asked]) -> int:
    return sum(not query.known for query in asked)


def _sample(numbers: NDArray[np.int64], most: int) -> list[int]:
    """At most `most` of `numbers`, the same every time, ascending."""
    if len(numbers) > most:
        numbers = np.sort(np.random.default_rng(0).choice(numbers, most, replace=False))
    return [int(number) for number in numbers]
