"""A gallery that has learned which directions to pay less heed to, and what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from index.pipeline import Adaptation, Pipeline, Verification
from index.recognizer import Recognizer
from index.tuner import tune
from index.verdict import Verdict
from tests.index.conftest import DIM, HiddenWorld, surface

# Few photos to look at, and no clock that could cut a look short.
PIPELINE = Pipeline(verification=Verification(mode="on", photos=6, budget_ms=600_000))
Embedding = NDArray[np.float32]


@pytest.fixture(scope="module")
def adapted() -> tuple[Recognizer, Embedding, list[int]]:
    """20 things that only an adaptation tells apart, and questions about 40 with the things that they show."""
    world = HiddenWorld(60)
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64, pipeline=PIPELINE)
    recognizer.upsert(
        [replace(photo, local=surface((photo.number - 1) // 4).to_bytes()) for photo in world.items(range(20), 4)]
    )
    recognizer.upsert(world.distractors(range(40, 60)))
    recognizer.tuning = tune(recognizer)
    assert recognizer.tuning.adaptation is not None
    things = [*range(20), *range(20, 40)]
    return recognizer, np.concatenate([world.photos(thing) for thing in things]), things


def test_an_adapted_gallery_is_right_more_often(adapted: tuple[Recognizer, Embedding, list[int]]) -> None:
    recognizer, queries, things = adapted
    plain = recognizer.space_with(None)

    def right(rank: list[str]) -> int:
        return sum(label == f"thing-{thing}" for label, thing in zip(rank, things, strict=True))

    before = right([recognizer.rank(query, space=plain).labels[0].label for query in queries])
    after = right([verdict.candidates[0].label for verdict in recognizer.recognize(queries)])
    assert after >= before + 3


def test_similarities_are_those_of_adapted_vectors(adapted: tuple[Recognizer, Embedding, list[int]]) -> None:
    recognizer, queries, _ = adapted
    assert recognizer.tuning is not None
    adaptation = recognizer.tuning.adaptation
    assert adaptation is not None
    (verdict,) = recognizer.recognize(queries[:1])
    for candidate in verdict.candidates:
        for photo in candidate.items:
            vector = recognizer.index.reconstruct(np.array([int(photo.id.removeprefix("id"))]))
            cosine = float(adaptation.apply(vector)[0] @ adaptation.apply_to_queries(queries[:1])[0])
            assert photo.similarity == pytest.approx(cosine, abs=1e-6)


def test_alone_or_together_to_the_bit(adapted: tuple[Recognizer, Embedding, list[int]]) -> None:
    recognizer, queries, things = adapted
    local = [surface(thing) if thing % 2 else None for thing in things]
    together = recognizer.recognize(queries, local=local)
    alone = [
        recognizer.recognize(query[None], local=[features])[0] for query, features in zip(queries, local, strict=True)
    ]
    assert together == alone
    assert together[::-1] == recognizer.recognize(queries[::-1], local=local[::-1])
    assert together != recognizer.recognize(queries)  # local features had their say


def test_a_tuning_can_be_taken_back() -> None:
    things = HiddenWorld(20)
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64, pipeline=PIPELINE)
    recognizer.upsert(things.items(range(20), 3))
    query = things.photos(0)
    before = recognizer.recognize(query)
    recognizer.tuning = tune(recognizer)
    assert recognizer.space.adaptation is recognizer.tuning.adaptation is not None
    assert recognizer.calibration == recognizer.tuning.calibration
    assert recognizer.recognize(query) != before
    recognizer.tuning = None
    assert recognizer.calibration is None
    assert recognizer.recognize(query) == before


@settings(deadline=None, max_examples=8)
@given(data=st.data())
def test_the_order_of_enrolment_changes_nothing_that_is_learned_or_said(data: st.DataObject) -> None:
    world = HiddenWorld(14)
    items = [
        *(replace(photo, local=surface((photo.number - 1) // 3).to_bytes()) for photo in world.items(range(6), 3)),
        *world.items(range(6, 8), 1, views=2, first=100),
        *world.distractors(range(8, 14)),
    ]
    queries = np.concatenate([world.photos(thing) for thing in range(14)])
    local = [surface(thing) for thing in range(14)]
    pipeline = PIPELINE.model_copy(update={"adaptation": Adaptation(wccn="on")})

    def learned(order: list[int]) -> tuple[object, list[Verdict]]:
        recognizer = Recognizer(DIM, bundle_sha256="b" * 64, pipeline=pipeline)
        for at in order:
            recognizer.upsert([items[at]])
        recognizer.tuning = tune(recognizer)
        return recognizer.tuning.to_parts(), recognizer.recognize(queries, local=local)

    order = list(range(len(items)))
    assert learned(data.draw(st.permutations(order))) == learned(order)
