"""What a gallery learns from labelled queries."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from index.errors import NotCalibratable
from index.labelled import FEWEST_KNOWN, LabelledQueries, Lessons, lessons
from index.recognizer import Recognizer
from index.tuner import tune
from index.tuning import Choice
from index.verification import LocalFeatures
from tests.index.conftest import DIM, HiddenWorld, World, surface, unit
from tests.index.galleries import choice, gallery, switched, with_surfaces


def labelled(world: World, things: range, *, local: Callable[[int], LocalFeatures] | None = None) -> LabelledQueries:
    return LabelledQueries(
        np.concatenate([world.photos(thing) for thing in things]),
        [f"thing-{thing}" for thing in things],
        None if local is None else [local(thing) for thing in things],
    )


def test_labelled_queries_decide_about_adaptation() -> None:
    """Where they prove beyond chance that it takes right answers away, and not where they have nothing to gain."""
    world = HiddenWorld(40)
    recognizer = gallery(world.items(range(20), 4))
    by_itself = tune(recognizer)
    assert choice(by_itself, "adaptation").used
    queries = labelled(world, range(40))
    asked = tune(recognizer, labelled=queries)
    assert choice(asked, "adaptation").why == "measured"
    assert choice(asked, "adaptation").queries == 20  # the known ones
    assert choice(asked, "adaptation").used
    held = [recognizer.photos(label).vectors.mean(axis=0) for label in queries.labels[:20]]
    clean = LabelledQueries(unit(np.stack(held)), queries.labels[:20])
    strangers = LabelledQueries(queries.embeddings[20:], queries.labels[20:])
    both = LabelledQueries(np.concatenate([clean.embeddings, strangers.embeddings]), [*clean.labels, *strangers.labels])
    assert choice(tune(recognizer, labelled=both), "adaptation") == Choice(
        part="adaptation", used=True, why="measured", without=1.0, with_=1.0, queries=20
    )
    # Queries that the two spaces answer differently, labelled as the plain one would have it.
    asked_about = unit(np.random.default_rng(0).standard_normal((400, DIM)).astype(np.float32))
    answers = {}
    for name, tuning in (
        ("adapted", by_itself),
        ("plain", tune(gallery(world.items(range(20), 4), switched(adaptation="off")))),
    ):
        recognizer.tuning = tuning
        answers[name] = [verdict.candidates[0].label for verdict in recognizer.recognize(asked_about, top_k=1)]
    differ = [at for at in range(400) if answers["plain"][at] != answers["adapted"][at]][:9]
    contrary = LabelledQueries(
        np.concatenate([asked_about[differ], strangers.embeddings]),
        [*(answers["plain"][at] for at in differ), *strangers.labels],
    )
    assert choice(tune(recognizer, labelled=contrary), "adaptation") == Choice(
        part="adaptation", used=False, why="measured", without=1.0, with_=0.0, queries=9
    )


def test_strangers_that_were_labelled_raise_the_threshold() -> None:
    """Those that look more like the gallery's things than its own things look like one another."""
    world = World(40, noise=0.1)
    recognizer = gallery(world.items(range(20), 3))
    alone = tune(recognizer).calibration
    near = np.concatenate([world.photos(thing) for thing in range(20)])
    hard = LabelledQueries(unit(near + 0.1 * np.roll(near, 1, axis=0)), [f"stranger {at}" for at in range(len(near))])
    warned = tune(recognizer, strangers=hard).calibration
    assert warned.source == alone.source == "gallery"
    assert warned.threshold > alone.threshold
    few = LabelledQueries(hard.embeddings[:3], hard.labels[:3])
    assert tune(recognizer, strangers=few).calibration == alone


def test_lessons() -> None:
    """Few labelled queries give strangers alone; what was enrolled since gives nothing."""
    world = World(80, noise=0.3)
    recognizer = gallery(world.items(range(FEWEST_KNOWN), 3))
    queries = labelled(world, range(FEWEST_KNOWN + 8))
    enough = lessons(recognizer, queries)
    assert enough.labelled is not None
    assert (enough.labelled.labels, enough.strangers) == (queries.labels, None)
    few = lessons(recognizer, queries.where(np.arange(len(queries)) > 0))
    assert few.labelled is None
    assert few.strangers is not None
    assert few.strangers.labels == queries.labels[FEWEST_KNOWN:]
    held = recognizer.index.reconstruct(recognizer.table.of_label("thing-3"))[:1]
    assert lessons(recognizer, LabelledQueries(held, ["nowhere"])) == Lessons()
    assert lessons(recognizer, None) == Lessons() == lessons(gallery([]), queries)


def test_labelled_queries_decide_about_verification() -> None:
    """The gallery's own photos would have verification; the queries' surfaces are those of the next thing."""
    world = World(60, noise=0.3)
    recognizer = gallery(with_surfaces(world.items(range(10), 3), lambda thing, _: thing))
    assert choice(tune(recognizer), "verification").used
    right = tune(recognizer, labelled=labelled(world, range(40), local=surface))
    assert choice(right, "verification").used
    assert choice(right, "verification").queries == 10
    wrong = tune(recognizer, labelled=labelled(world, range(40), local=lambda thing: surface((thing + 1) % 10)))
    assert choice(wrong, "verification").why == "measured"
    assert not choice(wrong, "verification").used
    unasked = tune(recognizer, labelled=labelled(world, range(40)))  # no local features: the gallery asks itself
    assert choice(unasked, "verification").queries == 30


def test_labelled_queries_are_calibrated_on_as_they_will_be_answered() -> None:
    """With verification on, the confidence is fitted on verified answers."""
    world = World(60, noise=0.3)
    items = with_surfaces(world.items(range(10), 3), lambda thing, _: thing)
    queries = labelled(world, range(40), local=surface)
    on, off = (
        tune(gallery(items, switched(verification=mode)), labelled=queries).calibration for mode in ("on", "off")
    )
    assert on.source == off.source == "labelled"
    assert (on.n_known, on.n_unknown) == (10, 30)
    assert on != off


def test_strangers_alone_cannot_calibrate(world: World, recognizer: Recognizer) -> None:
    with pytest.raises(NotCalibratable, match="0 known and 20 unknown"):
        tune(recognizer, labelled=labelled(world, range(40, 60)))
