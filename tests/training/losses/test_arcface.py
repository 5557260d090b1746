from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs the training extra")

from tests.training.losses.given import batch_of, outputs_of  # noqa: E402
from training.errors import RecipeInvalid  # noqa: E402
from training.losses.angular import add_angular_margin  # noqa: E402
from training.losses.arcface import ArcFace, ArcFaceSpec, inverse_log_weights  # noqa: E402

pytestmark = pytest.mark.torch

COUNTS = [1, 10, 100, 30, 2]


def _loss(**words: object) -> ArcFace:
    torch.manual_seed(0)
    return ArcFaceSpec.model_validate(words).build(classes=5, dim=8, counts=torch.tensor(COUNTS))


def _embeddings(n: int = 6) -> torch.Tensor:
    return torch.randn(n, 8, generator=torch.Generator().manual_seed(1))


def test_by_hand_with_class_weights() -> None:
    loss, embedding, labels = _loss(scale=30.0, margin=0.3), _embeddings(), np.array([0, 1, 2, 3, 4, 1])
    rows = loss.classifier.weight.detach().double().numpy()
    x = embedding.double().numpy()
    cosines = (x / np.linalg.norm(x, axis=1, keepdims=True)) @ (rows / np.linalg.norm(rows, axis=1, keepdims=True)).T
    each = []
    for row, label in zip(cosines, labels, strict=True):
        angle = np.arccos(row[label])
        moved = np.cos(angle + 0.3) if angle + 0.3 <= np.pi else row[label] - 0.3 * np.sin(np.pi - 0.3)
        others = np.exp(30 * np.delete(row, label)).sum()
        each.append(-np.log(np.exp(30 * moved) / (np.exp(30 * moved) + others)))
    weights = 1 / np.log(1 + np.array(COUNTS)[labels])
    got = loss(outputs_of(embedding), batch_of(labels))
    assert got.item() == pytest.approx((weights * each).sum() / weights.sum(), rel=1e-4)


@given(angle=st.floats(0.0, np.pi), margin=st.floats(0.0, 1.5))
def test_the_margin_always_makes_the_class_harder_and_never_turns(angle: float, margin: float) -> None:
    angles = torch.tensor([angle, min(angle + 0.05, np.pi)], dtype=torch.float64)
    nearer, further = add_angular_margin(angles.cos(), margin)
    assert nearer.item() <= np.cos(angle) + 1e-3  # the guard of the sine: sqrt(1e-7) at angle 0
    assert further.item() <= nearer.item() + 1e-3
    if 1e-3 < angle < np.pi - margin - 1e-3:
        assert nearer.item() == pytest.approx(np.cos(angle + margin), abs=1e-6)


def test_gradients_are_finite_where_photo_and_class_coincide() -> None:
    loss = _loss()
    embedding = torch.cat([loss.classifier.weight[:1], -loss.classifier.weight[:1]]).detach().requires_grad_()
    loss(outputs_of(embedding), batch_of([0, 0])).backward()
    assert torch.isfinite(embedding.grad).all()
    assert torch.isfinite(loss.classifier.weight.grad).all()


def test_rare_classes_weigh_more() -> None:
    weights = inverse_log_weights(torch.tensor(COUNTS))
    np.testing.assert_allclose(weights[0] / weights[2], np.log(101) / np.log(2), rtol=1e-6)
    assert weights.mean().item() == pytest.approx(1.0)
    assert inverse_log_weights(torch.tensor([0, 1]))[0] == 1.0


def test_scores_have_no_margin_and_no_length() -> None:
    loss, embedding = _loss(margin=0.5), _embeddings()
    torch.testing.assert_close(loss.scores(embedding), loss.scores(7 * embedding))
    rows = torch.nn.functional.normalize(loss.classifier.weight)
    torch.testing.assert_close(loss.scores(rows).diagonal(), torch.full((5,), 45.0))


def test_class_weights_of_other_photos_are_not_carried_over() -> None:
    assert list(_loss().state_dict()) == ["classifier.weight"]


def test_a_mixed_batch_is_refused() -> None:
    with pytest.raises(RecipeInvalid, match="when_mixed: skip"):
        _loss()(outputs_of(_embeddings(1)), batch_of([0], mixed=np.ones((1, 5)) / 5))
