from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs the training extra")

from tests.training.losses.given import batch_of, outputs_of  # noqa: E402
from training.errors import RecipeInvalid  # noqa: E402
from training.losses.triplet import BatchHardTriplet, BatchHardTripletSpec  # noqa: E402

pytestmark = pytest.mark.torch


def _loss(**words: Any) -> BatchHardTriplet:
    return BatchHardTripletSpec.model_validate(words).build(classes=4, dim=2, counts=torch.ones(4))


def test_by_hand() -> None:
    # On a line: label 0 at 0 and 3, label 1 at 4 and 10.
    line = torch.tensor([[0.0, 0], [3, 0], [4, 0], [10, 0]])
    # anchor 0: furthest 3, nearest 4; 3: 3, 1; 4: 6, 1; 10: 6, 7
    hinge = [0.5 + 3 - 4, 0.5 + 3 - 1, 0.5 + 6 - 1, 0.5 + 6 - 7]
    got = _loss(margin=0.5)(outputs_of(line), batch_of([0, 0, 1, 1]))
    assert got.item() == pytest.approx(np.mean(np.maximum(hinge, 0)))
    soft = _loss()(outputs_of(line), batch_of([0, 0, 1, 1]))
    assert soft.item() == pytest.approx(np.mean(np.log1p(np.exp([-1, 2, 5, -1]))))


@given(seed=st.integers(0, 2**16), margin=st.sampled_from([0.0, 0.3, "soft"]), normalise=st.booleans())
def test_against_every_triplet(seed: int, margin: Any, normalise: bool) -> None:
    rng = np.random.default_rng(seed)
    points, labels = rng.normal(size=(8, 3)), np.array([0, 0, 1, 1, 1, 2, 2, 3])
    if normalise:
        points /= np.linalg.norm(points, axis=1, keepdims=True)
    worst = []
    for a in range(7):  # the last has no other of its label
        gaps = [
            np.linalg.norm(points[a] - points[p]) - np.linalg.norm(points[a] - points[n])
            for p in range(8)
            for n in range(8)
            if p != a and labels[p] == labels[a] != labels[n]
        ]
        worst.append(np.log1p(np.exp(max(gaps))) if margin == "soft" else max(0.0, margin + max(gaps)))
    scaled = points * rng.uniform(1, 2, size=(8, 1)) if normalise else points
    loss = _loss(margin=margin, normalise=normalise)
    assert loss(outputs_of(torch.tensor(scaled)), batch_of(labels)).item() == pytest.approx(np.mean(worst), abs=1e-5)


@pytest.mark.parametrize(("margin", "stuck"), [(0.7, 0.7), ("soft", np.log(2))])
def test_a_collapsed_network_stays_at_the_margin_without_a_nan(margin: Any, stuck: float) -> None:
    points = torch.ones(4, 3, requires_grad=True)
    loss = _loss(margin=margin)(outputs_of(points), batch_of([0, 0, 1, 1]))
    loss.backward()
    assert loss.item() == pytest.approx(stuck)
    assert torch.isfinite(points.grad).all()


def test_the_pooled_vector_can_be_compared_instead() -> None:
    pooled = torch.tensor([[0.0], [1.0], [5.0]])
    got = _loss(margin=0.0, on="pooled")(outputs_of(torch.zeros(3, 1), pooled=pooled), batch_of([0, 0, 1]))
    assert got.item() == 0.0
    got = _loss(margin=10.0, on="pooled")(outputs_of(torch.zeros(3, 1), pooled=pooled), batch_of([0, 0, 1]))
    assert got.item() == pytest.approx(((10 + 1 - 5) + (10 + 1 - 4)) / 2)


@pytest.mark.parametrize("labels", [[0, 1, 2], [3, 3, 3]])
def test_a_batch_without_a_triplet_names_the_sampler(labels: list[int]) -> None:
    with pytest.raises(RecipeInvalid, match="sampler of several labels"):
        _loss()(outputs_of(torch.rand(3, 2)), batch_of(labels))
