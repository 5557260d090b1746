"""A gallery takes another form of ranking where it shows beyond chance that it answers better."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from index.items import Item
from index.pipeline import Adaptation, Aggregation, Pipeline, Ranking, Verification
from index.ranking_form import choose_ranking
from index.recognizer import Recognizer
from index.tuner import tune
from index.tuning import Choice, Tuning
from tests.index.conftest import DIM, World, item, unit


@dataclass(frozen=True)
class Answered:
    """As much of an answer as the choice looks at."""

    known: bool
    right: bool


def gallery(items: list[Item], ranking: Ranking | None = None) -> Recognizer:
    pipeline = Pipeline(
        ranking=ranking or Ranking(),
        adaptation=Adaptation(wccn="off"),
        verification=Verification(mode="off"),
    )
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64, pipeline=pipeline)
    recognizer.upsert(items)
    return recognizer


def two_sided() -> list[Item]:
    """Things with a front and a back, each with a neighbour that resembles its front alone."""
    random = np.random.default_rng(0)
    items: list[Item] = []
    for thing in range(20):
        front, back, towards = unit(random.standard_normal((3, DIM)))
        beside = unit((0.85 * front + 0.53 * towards)[None])[0]
        for name, sides in ((f"thing-{thing}", (front, front, back, back)), (f"beside-{thing}", (beside,) * 4)):
            for side in sides:
                photo = unit((side + 0.03 * random.standard_normal(DIM))[None])[0]
                items.append(item(len(items), name, photo))
    return items


def choice(tuning: Tuning) -> Choice:
    (chosen,) = [choice for choice in tuning.body.choices if choice.part == "ranking"]
    return chosen


def test_things_with_several_sides_are_ranked_by_their_nearest_photo() -> None:
    items = two_sided()
    recognizer = gallery(items)
    recognizer.tuning = tuning = tune(recognizer)
    chosen = choice(tuning)
    assert (chosen.used, chosen.why, chosen.form) == (True, "measured", "max")
    assert chosen.without is not None
    assert chosen.with_ is not None
    assert chosen.with_ > chosen.without + 0.1
    assert recognizer.ranking.aggregation == "max"
    query = items[0].embedding  # the nearest photo scores 1, and that is the whole score
    assert abs(recognizer.rank(query).labels[0].score - 1) < 1e-6
    again = Tuning.from_parts(*tuning.to_parts(), DIM)
    assert again.body.ranking == tuning.body.ranking


def test_where_the_blend_is_as_good_it_stays() -> None:
    tuning = tune(gallery(World(20).items(range(20), 4)))
    assert tuning.body.ranking == Ranking(aggregation="blend")
    assert not choice(tuning).used


def test_a_form_that_the_pipeline_names_is_not_questioned() -> None:
    recognizer = gallery(two_sided(), Ranking(aggregation="prototype"))
    recognizer.tuning = tune(recognizer)
    assert recognizer.tuning.body.ranking is None
    assert recognizer.ranking.aggregation == "prototype"
    assert choice(recognizer.tuning) == Choice(part="ranking", used=True, why="on", form="prototype")


def test_the_sign_test_decides_on_the_queries_that_differ() -> None:
    """With g answers gained and none lost, chance gives g heads in a row: 2^-g below .05 / 3 from g = 6 on."""
    assert [binom.pmf(g, g, 0.5) < 0.05 / 3 for g in (5, 6)] == [False, True]
    for gained, taken in ((5, "blend"), (6, "max")):

        def ask(ranking: Ranking, gained: int = gained) -> list[Answered]:
            wrong = 10 if ranking.aggregation != "max" else 10 - gained
            return [Answered(True, at >= wrong) for at in range(100)] + [Answered(False, False)] * 50

        ranking, chosen = choose_ranking(Ranking(), ask)  # type: ignore[arg-type]
        assert ranking == Ranking(aggregation=taken)
        assert chosen.queries == 100
        assert chosen.used == (taken == "max")


def test_too_few_queries_choose_nothing() -> None:
    asked: list[Aggregation] = []

    def ask(ranking: Ranking) -> list[Answered]:
        asked.append(ranking.aggregation)
        return [Answered(True, True)] * 7

    ranking, chosen = choose_ranking(Ranking(prototype_weight=0.5), ask)  # type: ignore[arg-type]
    assert ranking == Ranking(aggregation="blend", prototype_weight=0.5)
    assert chosen == Choice(part="ranking", used=False, why="default")
    assert asked == ["blend"]
