"""Asking about a part of a gallery gives what a gallery of that part alone would give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from embedding.quality import Defect
from index.engines import Selection, build, parse_spec
from index.filter import MOST_CONDITIONS, MOST_LABELS, Filter, absent_labels, selected
from index.items import Item
from index.pipeline import Pipeline, Ranking
from index.recognizer import Ranked, Recognizer
from index.tuner import tune
from tests.index.conftest import DIM, World

WORLD = World(60, noise=0.3, seed=5)
ITEMS = WORLD.items(range(12), 5)
STRANGERS = WORLD.distractors(range(40, 50))
QUERIES = np.concatenate([WORLD.photos(thing) for thing in (0, 3, 11, 30)] + [ITEMS[7].embedding[None]])
NUMBERS = [item.number for item in ITEMS]


def gallery(items: list[Item], *, engine: str = "memory", pipeline: Pipeline | None = None) -> Recognizer:
    """`engine`: memory, or a specification of a trained base with half of the items laid over it."""
    pipeline = pipeline or Pipeline()
    if engine == "memory":
        recognizer = Recognizer(DIM, bundle_sha256="b" * 64, pipeline=pipeline)
        recognizer.upsert(items)
    else:
        base, later = items[: len(items) // 2], items[len(items) // 2 :]
        vectors = np.stack([item.embedding for item in base])
        block = (np.array([item.number for item in base], np.int64), vectors)
        recognizer = Recognizer(
            DIM, bundle_sha256="b" * 64, pipeline=pipeline, base=build(parse_spec(engine), DIM, iter([block]))
        )
        for item in base:
            assert item.label is not None
            recognizer.table.put(item.number, item.id, item.label)
        recognizer.upsert(later)
    recognizer.upsert(STRANGERS)
    return recognizer


def said(ranked: Ranked) -> list[tuple[str, object, list[int]]]:
    return [(entry.label, pytest.approx(entry.score, abs=1e-12), entry.numbers.tolist()) for entry in ranked.labels]


@pytest.mark.parametrize("engine", ["memory", "ivf,lists=3,probes=3"])
@settings(max_examples=25, deadline=None)
@given(chosen=st.sets(st.sampled_from(NUMBERS), min_size=1), inverted=st.booleans())
def test_ranking_within_is_the_ranking_of_a_gallery_of_that_part(engine: str, chosen: set[int], inverted: bool) -> None:
    whole = WHOLE.setdefault(engine, gallery(ITEMS, engine=engine))
    within = Selection.without(chosen) if inverted else Selection.only(chosen)
    part = gallery([item for item in ITEMS if (item.number in chosen) != inverted])
    for query in QUERIES:
        ranked = whole.ranked(query, within=within)
        if len(part) == 0:
            assert ranked is None
            continue
        alone = part.rank(query)
        assert ranked is not None
        assert said(ranked) == said(alone)
        assert (ranked.penalty, ranked.strange, ranked.holders) == (alone.penalty, alone.strange, alone.holders)


WHOLE: dict[str, Recognizer] = {}


@pytest.mark.parametrize("pipeline", [
    Pipeline(ranking=Ranking(expansion=2)),
    Pipeline(ranking=Ranking(item_penalty=0.5)),
])  # fmt: skip
def test_expansion_and_penalties_keep_to_the_part(pipeline: Pipeline) -> None:
    whole = gallery(ITEMS, pipeline=pipeline)
    chosen = NUMBERS[3:40:2]
    part = gallery([item for item in ITEMS if item.number in chosen], pipeline=pipeline)
    for query in QUERIES:
        assert said(whole.rank(query, within=Selection.only(chosen))) == said(part.rank(query))


def test_a_verdict_within_names_photos_of_the_part_alone() -> None:
    whole = gallery(ITEMS)
    whole.tuning = tune(whole)
    chosen = NUMBERS[:30:2]
    part = gallery([item for item in ITEMS if item.number in chosen])
    part.tuning = whole.tuning
    for query in QUERIES:
        here = whole.trace(query, within=Selection.only(chosen), top_k=12).verdict
        alone = part.trace(query, top_k=12).verdict
        assert here.to_json() == alone.to_json()
        assert {photo.id for entry in here.candidates for photo in entry.items} <= {f"id{number}" for number in chosen}


def test_nothing_matches_has_a_reason_of_its_own() -> None:
    whole = gallery(ITEMS)
    for nothing in (Selection.only([]), Selection.only([4711])):
        verdict = whole.trace(QUERIES[0], within=nothing).verdict
        assert (verdict.verdict, verdict.reason, verdict.candidates) == ("unknown", "nothing_matches_filter", ())
        assert verdict.threshold == 1.0
    whole.tuning = tune(whole)
    assert whole.calibration is not None
    verdict = whole.trace(QUERIES[0], within=Selection.only([])).verdict
    assert verdict.threshold == whole.calibration.threshold
    assert not whole.wants_local(QUERIES[0], within=Selection.only([]))
    blurred = whole.trace(QUERIES[0], within=Selection.only([]), defect=Defect("blurred", "Too blurred.")).verdict
    assert blurred.reason == "unusable_photo"
    empty = Recognizer(DIM, bundle_sha256="b" * 64)
    assert empty.trace(QUERIES[0], within=Selection.only([1])).verdict.reason == "empty_gallery"


def test_what_a_filter_selects() -> None:
    table = gallery(ITEMS).table
    assert absent_labels(table, ["thing-3", "nobody", "thing-4"]) == ["nobody"]
    of_three = table.of_label("thing-3")
    assert selected(table, ["thing-3"]).listed.tolist() == of_three.tolist()
    both = selected(table, ["thing-3", "thing-4"], np.array([of_three[1], 60, 4711]))
    assert both.listed.tolist() == [of_three[1]]
    assert selected(table, None).among(np.array(NUMBERS)).all()
    assert selected(table, None, np.array([2, 4])).listed.tolist() == [2, 4]


def test_one_filter_has_one_spelling() -> None:
    one = Filter(labels=("b", "a", "b"), where={"y": 1, "x": None})
    other = Filter(labels=("a", "b"), where={"x": None, "y": 1})
    assert one.model_dump_json() == other.model_dump_json() == '{"labels":["a","b"],"where":{"x":null,"y":1}}'
    assert len({Filter(where={"x": value}).model_dump_json() for value in (1, True, "1", "true", None)}) == 5
    assert Filter.model_validate_json(one.model_dump_json()) == one


@pytest.mark.parametrize("parts", [
    {"labels": ()},
    {"labels": tuple(f"label {n}" for n in range(MOST_LABELS + 1))},
    {"where": {f"key {n}": n for n in range(MOST_CONDITIONS + 1)}},
    {"where": {"size": [1]}},
    {"where": {"size": float("nan")}},
    {"colour": "red"},
])  # fmt: skip
def test_what_is_no_filter(parts: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Filter.model_validate(parts)
