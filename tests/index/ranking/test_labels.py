from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from index.pipeline import Ranking
from index.ranking import LabelPhotos, margins, rank_labels

EVERY = ("blend", "max", "prototype", "mean", "top_k_mean", "top_k_sum", "softmax")


def photos(label: str, *rows: list[float], penalties: list[float] | None = None) -> LabelPhotos:
    held = None if penalties is None else np.array(penalties)
    return LabelPhotos(label, np.arange(len(rows)), np.array(rows, np.float64), held)


def some_labels(seed: int, n: int, dim: int = 8) -> tuple[NDArray[np.float32], list[LabelPhotos]]:
    random = np.random.default_rng(seed)
    query = random.standard_normal(dim).astype(np.float32)
    return query, [
        LabelPhotos(f"l{at}", np.arange(size), random.standard_normal((size, dim)), random.random(size))
        for at, size in enumerate(random.integers(1, 5, n))
    ]


def test_score_is_the_weighted_best_photo_and_prototype() -> None:
    query = np.array([1.0, 0.0], np.float32)
    labels = [photos("a", [1, 0], [0, 1]), photos("b", [0.8, 0.6])]
    ranked = rank_labels(query, labels, Ranking(prototype_weight=0.7))
    # a: best photo 1; its mean is (.5, .5), of cosine 1/sqrt(2) to the query. b has one photo, so both parts are .8.
    assert [entry.label for entry in ranked] == ["b", "a"]
    assert ranked[0].score == pytest.approx(0.8)
    assert ranked[1].score == pytest.approx(0.3 * 1 + 0.7 / np.sqrt(2))
    np.testing.assert_allclose(ranked[1].similarities, [1, 0])


@settings(deadline=None)
@given(st.integers(0, 2**16), st.integers(1, 6), st.sampled_from([1, 7, 32, 512]))
def test_the_shipped_score_is_that_formula(seed: int, n: int, dim: int) -> None:
    query, labels = some_labels(seed, n, dim)
    wide = query.astype(np.float64)
    for entry in rank_labels(query, labels):
        (own,) = (label for label in labels if label.label == entry.label)
        mean = own.vectors.mean(axis=0)
        best = float(np.einsum("nd,d->n", own.vectors, wide).max())
        to_prototype = float(np.einsum("d,d->", mean, wide) / max(float(np.linalg.norm(mean)), 1e-12))
        assert entry.score == pytest.approx((1 - 0.7) * best + 0.7 * to_prototype, abs=1e-10)


@pytest.mark.parametrize(
    ("aggregation", "score"),
    [
        # Photos at cosine .9 and .5 with penalties .4 and .2, half of which goes: .9 - .2 = .7 and .5 - .1 = .4.
        ("max", 0.7),
        ("mean", (0.7 + 0.4) / 2),
        ("top_k_sum", 0.7 + 0.4),
        # Prototype: cosine to the mean, less half of the mean penalty .3.
        ("prototype", None),
    ],
)
def test_a_share_of_each_photo_s_penalty_is_taken_off_before_aggregation(aggregation, score) -> None:
    query = np.array([1.0, 0.0], np.float32)
    rows = [[0.9, 0.19**0.5], [0.5, 0.75**0.5]]
    if score is None:
        mean = np.mean(rows, axis=0)
        score = mean[0] / np.linalg.norm(mean) - 0.5 * 0.3
    ranking = Ranking(aggregation=aggregation, item_penalty=0.5)
    (entry,) = rank_labels(query, [photos("a", *rows, penalties=[0.4, 0.2])], ranking)
    assert entry.score == pytest.approx(score)
    np.testing.assert_allclose(entry.similarities, [0.9, 0.5], err_msg="cosines are shown as they are")


@pytest.mark.parametrize("aggregation", EVERY)
def test_without_penalties_none_is_taken_off(aggregation) -> None:
    query = np.array([1.0, 0.0], np.float32)
    plain, zeros = photos("a", [1, 0], [0, 1]), photos("a", [1, 0], [0, 1], penalties=[0, 0])
    scores = {
        rank_labels(query, [label], Ranking(aggregation=aggregation, item_penalty=share))[0].score
        for label in (plain, zeros)
        for share in (0.0, 1.0)
    }
    assert len(scores) == 1


def test_equal_scores_stand_in_order_of_name() -> None:
    query = np.array([1.0, 0.0], np.float32)
    ranked = rank_labels(query, [photos("b", [0, 1]), photos("a", [0, 1])])
    assert [entry.label for entry in ranked] == ["a", "b"]


def test_photos_that_cancel_out_have_no_prototype() -> None:
    query = np.array([1.0, 0.0], np.float32)
    ranked = rank_labels(query, [photos("a", [1, 0], [-1, 0])], Ranking(prototype_weight=0.5))
    assert ranked[0].score == pytest.approx(0.5)


def test_nothing_nominated_gives_nothing() -> None:
    assert rank_labels(np.array([1.0, 0.0], np.float32), []) == []


@settings(deadline=None)
@given(st.integers(0, 2**16), st.integers(2, 6), st.sampled_from(EVERY), st.sampled_from([0.0, 0.5]))
def test_order_of_labels_and_company_of_others_change_no_score(seed: int, n: int, aggregation, share: float) -> None:
    query, labels = some_labels(seed, n)
    ranking = Ranking(aggregation=aggregation, item_penalty=share)
    together = rank_labels(query, labels, ranking)
    assert together == sorted(together, key=lambda entry: -entry.score)
    backwards = rank_labels(query, labels[::-1], ranking)
    alone = {label.label: rank_labels(query, [label], ranking)[0].score for label in labels}
    assert [(e.label, e.score) for e in together] == [(e.label, e.score) for e in backwards]
    assert {e.label: e.score for e in together} == alone


def test_margins() -> None:
    np.testing.assert_allclose(margins(np.array([0.5, 0.9, 0.7])), [-0.4, 0.2, -0.2])
    assert margins(np.array([0.3])).tolist() == [0.0]
    assert margins(np.array([0.4, 0.4])).tolist() == [0.0, 0.0]


@given(hnp.arrays(np.float64, st.integers(1, 8), elements=st.floats(-1, 1)))
def test_only_the_best_has_a_positive_margin(values: NDArray[np.float64]) -> None:
    got = margins(values)
    for at in range(len(values)):
        others = np.delete(values, at)
        assert got[at] == pytest.approx(values[at] - others.max() if len(others) else 0.0)
