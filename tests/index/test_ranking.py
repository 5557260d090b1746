from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from index.ranking import LabelPhotos, margins, rank_labels


def photos(label: str, *rows: list[float]) -> LabelPhotos:
    return LabelPhotos(label, np.arange(len(rows)), np.array(rows, np.float64))


def test_score_is_the_weighted_best_photo_and_prototype() -> None:
    query = np.array([1.0, 0.0], np.float32)
    ranked = rank_labels(query, [photos("a", [1, 0], [0, 1]), photos("b", [0.8, 0.6])], prototype_weight=0.7)
    # a: best photo 1; its mean is (.5, .5), of cosine 1/sqrt(2) to the query. b has one photo, so both parts are .8.
    assert [entry.label for entry in ranked] == ["b", "a"]
    assert ranked[0].score == pytest.approx(0.8)
    assert ranked[1].score == pytest.approx(0.3 * 1 + 0.7 / np.sqrt(2))
    np.testing.assert_allclose(ranked[1].similarities, [1, 0])


def test_equal_scores_stand_in_order_of_name() -> None:
    query = np.array([1.0, 0.0], np.float32)
    ranked = rank_labels(query, [photos("b", [0, 1]), photos("a", [0, 1])])
    assert [entry.label for entry in ranked] == ["a", "b"]


def test_photos_that_cancel_out_have_no_prototype() -> None:
    ranked = rank_labels(np.array([1.0, 0.0], np.float32), [photos("a", [1, 0], [-1, 0])], prototype_weight=0.5)
    assert ranked[0].score == pytest.approx(0.5)


def test_margins() -> None:
    np.testing.assert_allclose(margins(np.array([0.5, 0.9, 0.7])), [-0.4, 0.2, -0.2])
    assert margins(np.array([0.3])).tolist() == [0.0]
    assert margins(np.array([0.4, 0.4])).tolist() == [0.0, 0.0]


scores = hnp.arrays(np.float64, st.integers(1, 8), elements=st.floats(-1, 1))


@given(scores)
def test_only_the_best_has_a_positive_margin(values: NDArray[np.float64]) -> None:
    got = margins(values)
    for at in range(len(values)):
        others = np.delete(values, at)
        assert got[at] == pytest.approx(values[at] - others.max() if len(others) else 0.0)


@settings(deadline=None)
@given(st.integers(0, 2**16), st.integers(2, 6))
def test_order_of_labels_and_company_of_others_change_no_score(seed: int, n: int) -> None:
    random = np.random.default_rng(seed)
    query = random.standard_normal(8).astype(np.float32)
    labels = [
        LabelPhotos(f"l{at}", np.arange(size), random.standard_normal((size, 8)))
        for at, size in enumerate(random.integers(1, 5, n))
    ]
    together = rank_labels(query, labels)
    assert together == sorted(together, key=lambda entry: -entry.score)
    backwards = rank_labels(query, labels[::-1])
    alone = {label.label: rank_labels(query, [label])[0].score for label in labels}
    assert [(e.label, e.score) for e in together] == [(e.label, e.score) for e in backwards]
    assert {e.label: e.score for e in together} == alone
