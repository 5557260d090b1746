from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch", reason="needs the training extra")

from sklearn.metrics import average_precision_score

from training.run.mean_average_precision import map_at
from training.run.metrics import Answers, Embedded, knn_answers, measure

pytestmark = pytest.mark.torch


def _unit(rows: object) -> np.ndarray:
    vectors = np.asarray(rows, np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _at(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_map_by_hand() -> None:
    vectors = _at(0, 10, 25, 60)
    labels = ["a", "b", "a", "b"]
    # From 0: 10 b, 25 a, 60 b -> P(2) = 1/2. From 10: 0 a, 25 a, 60 b -> 1/3. From 25: 10 b, 0 a -> 1/2.
    # From 60: 25 a, 10 b -> 1/2.
    assert map_at(vectors, labels) == pytest.approx((1 / 2 + 1 / 3 + 1 / 2 + 1 / 2) / 4)
    assert map_at(vectors, labels, 1) == 0.0


def test_more_of_a_label_than_k_asks_for_no_more_than_k() -> None:
    assert map_at(_at(0, 1, 2, 3), ["a"] * 4, 2) == pytest.approx(1.0)


def test_vectors_that_are_all_alike_find_nothing_first() -> None:
    labels = ["a", "a", "b", "b", "c", "c"]
    assert map_at(np.tile(_at(0), (6, 1)), labels) == pytest.approx(1 / 5)


@given(st.integers(0, 10_000), st.integers(5, 40))
def test_map_is_scikit_learns_where_nothing_is_cut_off(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, labels = _unit(rng.normal(size=(n, 8))), [str(one) for one in rng.integers(0, 3, n)]
    expected = []
    for at in range(n):
        others = [i for i in range(n) if i != at]
        same = [labels[i] == labels[at] for i in others]
        expected.append(average_precision_score(same, (vectors[others] @ vectors[at])) if any(same) else 0.0)
    assert map_at(vectors, labels, 100) == pytest.approx(float(np.mean(expected)), abs=1e-6)


def test_the_nearest_photo_of_a_label_speaks_for_it() -> None:
    gallery = Embedded(["1", "2", "3", "4"], ["b", "a", "b", "c"], _at(90, 40, 5, 70))
    queries = Embedded(["q"], ["a"], _at(20))
    found = knn_answers(queries, gallery)
    assert found.labels.tolist() == [["b", "a", "c"]]
    assert found.scores[0] == pytest.approx(np.cos(np.radians([15, 20, 50])), abs=1e-6)


def test_every_metric_by_hand() -> None:
    gallery = Embedded(["g1", "g2"], ["a", "b"], _at(0, 90))
    # q1 right at cos 10, q2 wrong (b asked, a answered), q3 a stranger at cos 30.
    queries = Embedded(["q1", "q2", "q3", "q4"], ["a", "b", "z", "z"], _at(10, 20, 60, 44))
    figures = measure(queries, gallery, classes=())
    assert figures["knn_top1"] == 0.5
    assert figures["knn_top5"] == 1.0
    assert figures["knn_map5"] == pytest.approx((1 + 1 / 2) / 2)
    # By confidence: q1 (10, right), q2 (20, wrong), q3 (30), q4 (44): (1/2) * P(1) = 1/2.
    assert figures["knn_gap"] == pytest.approx(0.5)
    assert figures["knn_auroc"] == 1.0
    # Among themselves: q1 finds q2, q2 finds q1, q3 finds q4, q4 finds q3.
    assert figures["recall_1"] == 0.5
    assert not any(name.startswith("classifier") for name in figures)


def test_what_a_split_cannot_say_is_left_out() -> None:
    queries = Embedded(
        ["q1", "q2"],
        ["a", "b"],
        _at(0, 80),
        Answers(np.array([["a", "b"], ["a", "b"]]), np.array([[0.9, 0.1], [0.6, 0.4]])),
    )
    figures = measure(queries, None, classes=("a", "b"))
    assert figures["classifier_top1"] == 0.5
    assert "recall_1" not in figures, "no label has two photos"
    assert "classifier_auroc" not in figures, "there is no stranger"
    assert "knn_top1" not in figures
