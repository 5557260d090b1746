"""The yardstick against a search written out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from index.evaluation.yardstick import nearest_photo_answers

EAST, NORTH, WEST = [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]


def rows(*vectors):
    return np.array(vectors, np.float32)


def test_the_nearest_photo_decides_and_each_label_stands_once():
    gallery = rows(EAST, NORTH, [0.6, 0.8], WEST)
    answer = nearest_photo_answers(rows([0.8, 0.6]), gallery, ["cup", "hat", "cup", "pen"])[0]
    assert [label for label, _ in answer.candidates] == ["cup", "hat", "pen"]
    assert [confidence for _, confidence in answer.candidates] == pytest.approx([0.96, 0.6, -0.8])
    assert (answer.verdict, answer.evidence) == ("known", 2)


def test_below_the_threshold_it_is_unknown():
    answers = nearest_photo_answers(rows(NORTH, EAST), rows(EAST), ["cup"])
    assert [answer.verdict for answer in answers] == ["unknown", "known"]


def test_top_k_bounds_the_candidates():
    answer = nearest_photo_answers(rows(EAST), rows(EAST, NORTH, WEST), ["a", "b", "c"], top_k=2)[0]
    assert [label for label, _ in answer.candidates] == ["a", "b"]
