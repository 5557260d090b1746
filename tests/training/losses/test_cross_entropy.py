from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs the training extra")

from tests.training.losses.given import batch_of, outputs_of  # noqa: E402
from training.errors import RecipeInvalid  # noqa: E402
from training.losses.cross_entropy import CrossEntropy, CrossEntropySpec  # noqa: E402

pytestmark = pytest.mark.torch


def _loss(classes: int = 4, **words: object) -> CrossEntropy:
    return CrossEntropySpec.model_validate(words).build(classes=classes, dim=3, counts=torch.ones(classes).long())


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def test_by_hand() -> None:
    logits = torch.tensor([[0.0, np.log(3.0)], [0.0, 0.0]])
    # probabilities: (1/4, 3/4) and (1/2, 1/2)
    got = _loss(2)(outputs_of(logits=logits), batch_of([1, 0]))
    assert got.item() == pytest.approx((np.log(4 / 3) + np.log(2)) / 2)


@given(
    epsilon=st.floats(0.0, 0.6),
    classes=st.integers(3, 9),
    convention=st.sampled_from(["torch", "others"]),
    seed=st.integers(0, 2**16),
)
def test_smoothing_is_cross_entropy_with_the_written_targets(
    epsilon: float, classes: int, convention: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(5, classes)), rng.integers(classes, size=5)
    one_hot = np.eye(classes)[labels]
    if convention == "torch":
        target = (1 - epsilon) * one_hot + epsilon / classes
    else:
        target = np.where(one_hot == 1, 1 - epsilon, epsilon / (classes - 1))
    expected = -(target * _log_softmax(logits)).sum(1).mean()
    loss = _loss(classes, smoothing=epsilon, convention=convention)
    got = loss(outputs_of(logits=torch.tensor(logits)), batch_of(labels))
    assert got.item() == pytest.approx(expected, rel=1e-4)


def test_smoothing_that_says_nothing_of_the_class_is_refused() -> None:
    with pytest.raises(RecipeInvalid, match=r"below 0\.5"):
        _loss(2, smoothing=0.5, convention="others")


def test_stripes_are_summed_and_weights_count() -> None:
    rng = np.random.default_rng(0)
    logits, parts, weights = rng.normal(size=(3, 4)), rng.normal(size=(3, 2, 4)), np.array([1.0, 0.0, 3.0])
    labels = [2, 0, 3]
    every = np.concatenate([logits[:, None], parts], axis=1)
    each = -np.stack([_log_softmax(every[i])[:, label].sum() for i, label in enumerate(labels)])
    outputs = outputs_of(logits=torch.tensor(logits), part_logits=torch.tensor(parts))
    got = _loss()(outputs, batch_of(labels, weights=weights))
    assert got.item() == pytest.approx((each * weights).sum() / 4)


def test_mixed_photos_have_shares() -> None:
    logits = np.array([[1.0, 2.0, 3.0, 4.0]])
    mixed = np.array([[0.25, 0.0, 0.0, 0.75]])
    got = _loss()(outputs_of(logits=torch.tensor(logits)), batch_of([3], mixed=mixed))
    expected = -(0.25 * _log_softmax(logits)[0, 0] + 0.75 * _log_softmax(logits)[0, 3])
    assert got.item() == pytest.approx(expected)


def test_a_network_without_classifier_is_refused() -> None:
    with pytest.raises(RecipeInvalid, match="CrossEntropy needs the logits"):
        _loss()(outputs_of(), batch_of([0]))


def test_it_stays_in_float32_under_autocast() -> None:
    logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = _loss()(outputs_of(logits=logits), batch_of([0, 1, 2, 3]))
    assert got.dtype == torch.float32
    assert torch.equal(got, _loss()(outputs_of(logits=logits), batch_of([0, 1, 2, 3])))
