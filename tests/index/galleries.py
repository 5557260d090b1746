"""Galleries that learn, for tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from index.items import Item
from index.pipeline import Adaptation, Pipeline, Verification
from index.recognizer import Recognizer
from index.tuning import Choice, Tuning
from tests.index.conftest import DIM, surface

# Few photos to look at, and no clock that could cut a look short.
VERIFIED = Verification(photos=6, budget_ms=600_000)


def gallery(items: list[Item], pipeline: Pipeline | None = None) -> Recognizer:
    recognizer = Recognizer(DIM, bundle_sha256="b" * 64, pipeline=pipeline or Pipeline(verification=VERIFIED))
    recognizer.upsert(items)
    return recognizer


def with_surfaces(items: list[Item], seed_of: Callable[[int, int], int]) -> list[Item]:
    """The same photos with local features: `seed_of` their thing and their place among its photos."""
    places: dict[str | None, int] = {}
    dressed = []
    for photo in items:
        assert photo.label is not None
        place = places[photo.label] = places.get(photo.label, -1) + 1
        seed = seed_of(int(photo.label.removeprefix("thing-")), place)
        dressed.append(replace(photo, local=surface(seed).to_bytes()))
    return dressed


def choice(tuning: Tuning, part: str) -> Choice:
    (chosen,) = [choice for choice in tuning.body.choices if choice.part == part]
    return chosen


def switched(*, adaptation: str = "auto", verification: str = "auto") -> Pipeline:
    return Pipeline(
        adaptation=Adaptation.model_validate({"wccn": adaptation}),
        verification=VERIFIED.model_copy(update={"mode": verification}),
    )
