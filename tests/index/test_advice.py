"""The advisor's arithmetic, and what it chooses."""

from __future__ import annotations

import math

import numpy as np
import pytest

from index import advice
from index.advice import Expected, NothingToMeasure, Wish, advise
from index.engines import HnswSpec, InvalidEngineSpec, IvfSpec
from tests.index.conftest import unit


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes that take no time; the arithmetic is the same."""
    monkeypatch.setattr(advice, "_SIZES", (300, 1200))
    monkeypatch.setattr(advice, "SAMPLE", 1250)
    monkeypatch.setattr(advice, "_QUERIES", 50)


def vectors(n: int) -> np.ndarray:
    return unit(np.random.default_rng(0).standard_normal((n, 16)))


def test_memory_grows_with_the_photos_and_wishes_are_held_against_it(small: None) -> None:
    wish = Wish(items=12_000, memory_bytes=12_000 * 40)
    found = advise(vectors(1250), wish, candidates=("flat", "flat,float16"))
    by_engine = {one.engine: one for one in (found.chosen, *found.others)}
    # 16 values of 4 or 2 bytes, and 8 for the number (flat in float32 also finds places by number).
    assert by_engine["flat,float16"].memory_bytes == 12_000 * (2 * 16 + 8)
    assert by_engine["flat"].memory_bytes >= 12_000 * (4 * 16 + 8)
    assert found.chosen.engine == "flat,float16"
    assert by_engine["flat"].misses
    assert found.own == found.measured_on == 1200


def test_few_photos_are_made_more_with_noise(small: None) -> None:
    found = advise(vectors(40), Wish(items=1000), candidates=("flat",))
    assert (found.own, found.measured_on) == (40, 1200)
    whole = advice._sample(vectors(40), 400)
    assert np.allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-5)
    nearest = np.sort((whole @ vectors(40).T).max(axis=1))
    assert np.allclose(nearest[-40:], 1, atol=1e-5)
    assert (nearest[:-40] >= 0.9 - 1e-5).all()


def test_an_engine_that_cannot_reach_the_recall_is_told_of(small: None) -> None:
    found = advise(vectors(1250), Wish(items=5000, recall=1.0), candidates=("flat", "ivf,pq=2"))
    assert [engine for engine, _ in found.failed] == ["ivf,pq=2"]
    assert "however far it looks" in found.failed[0][1]
    with pytest.raises(InvalidEngineSpec, match="however far it looks"):
        advise(vectors(1250), Wish(items=5000, recall=1.0), candidates=("ivf,pq=2",))


def test_a_graph_along_half_of_the_directions_is_among_what_is_measured(small: None) -> None:
    found = advise(vectors(1250), Wish(items=5000))
    measured = {one.engine for one in (found.chosen, *found.others)} | {engine for engine, _ in found.failed}
    assert measured == {*advice.CANDIDATES, "hnsw,pca=8,sq8,refine"}


def test_a_gallery_of_one_photo_says_nothing() -> None:
    with pytest.raises(NothingToMeasure, match="has 1 photo"):
        advise(vectors(1), Wish(items=10))


def test_exact_search_is_taken_while_it_is_quick_else_the_quickest_that_fits() -> None:
    def one(engine: str, p95: float, memory: int, *, exact: bool, wish: Wish) -> Expected:
        plain = Expected(engine, engine, p95, memory, 0, 1.0, exact)
        return Expected(engine, engine, p95, memory, 0, 1.0, exact, tuple(advice._misses(plain, wish)))

    def best(wish: Wish) -> str:
        rows = [("flat", 4.0, 100, True), ("ivf", 0.5, 120, False), ("sq8", 0.9, 30, False)]
        return advice._best(
            [one(name, p95, size, exact=exact, wish=wish) for name, p95, size, exact in rows], wish
        ).engine

    assert best(Wish(1)) == "flat"
    assert best(Wish(1, p95_ms=3.0)) == "ivf"
    assert best(Wish(1, memory_bytes=50)) == "sq8"
    # Nothing fits: flat is 2 x 4 beyond, ivf 2.4 x 1, sq8 1 x 1.8.
    assert best(Wish(1, memory_bytes=50, p95_ms=0.5)) == "sq8"


def test_vectors_looked_at() -> None:
    assert advice._looked_at(IvfSpec(), 1_000_000, 8) == 16384 + 8 / 16384 * 1_000_000
    assert advice._looked_at(IvfSpec(), 1_000_000, 10**9) == 16384 + 1_000_000
    assert advice._looked_at(HnswSpec(m=32), 1024, 64) == 64 * 10 * 16
    assert advice._line([100, 400], [2.0, 5.0], 1000) == pytest.approx(1 + 0.01 * 1000)
    assert advice._line([100, 400], [5.0, 4.0], 800) == pytest.approx(8.0)  # quicker with more: all by rate


def test_effort_grows_as_it_grew() -> None:
    measured = [advice._Measured(size, IvfSpec(probes=probes), 1.0, 1, 1, 1.0) for size, probes in ((100, 2), (400, 4))]
    found = advice._expected("ivf", measured, Wish(items=6400))
    looked = [advice._looked_at(IvfSpec(), size, probes) for size, probes in ((100, 2), (400, 4), (6400, 16))]
    assert found.p95_ms == pytest.approx(advice._line(looked[:2], [1.0, 1.0], looked[2]))
    assert math.isclose(found.build_s, 16 * 4)
