"""Centre, ring and accuracy loss."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

from tests.training.losses.given import batch_of, outputs_of  # noqa: E402
from training.errors import RecipeInvalid  # noqa: E402
from training.losses.accuracy import AccuracyLossSpec  # noqa: E402
from training.losses.center import CenterLossSpec  # noqa: E402
from training.losses.ring import RingLossSpec  # noqa: E402

pytestmark = pytest.mark.torch

SIZES = {"classes": 3, "dim": 4, "counts": torch.ones(3)}


def _parts(seed: int = 0) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).normal(size=(5, 2, 2)), dtype=torch.float32)


def test_centre_loss_and_its_centres_by_hand() -> None:
    loss = CenterLossSpec(rate=0.5).build(**SIZES)
    before, x, labels = loss.centres.double().numpy().copy(), _parts().flatten(1).double().numpy(), [0, 0, 2, 0, 2]
    got = loss(outputs_of(_parts().flatten(1)), batch_of(labels)).item()
    assert got == pytest.approx(np.mean([((x[i] - before[label]) ** 2).sum() for i, label in enumerate(labels)]))
    # Wen et al., equation 4: c - 0.5 * sum(c - x) / (1 + n)
    after = before.copy()
    after[0] -= 0.5 * (before[0] - x[[0, 1, 3]]).sum(0) / 4
    after[2] -= 0.5 * (before[2] - x[[2, 4]]).sum(0) / 3
    np.testing.assert_allclose(loss.centres.numpy(), after, rtol=1e-5, atol=1e-6)


def test_centres_stand_still_in_evaluation_and_are_saved() -> None:
    loss = CenterLossSpec().build(**SIZES)
    before = loss.centres.clone()
    loss.eval()(outputs_of(_parts().flatten(1)), batch_of([0, 1, 2, 0, 1]))
    assert torch.equal(loss.centres, before)
    assert list(loss.state_dict()) == ["centres"]


def test_centre_loss_of_stripes_is_the_sum_of_theirs() -> None:
    loss, parts, labels = CenterLossSpec().build(**SIZES).eval(), _parts(), [0, 1, 2, 0, 1]
    centres = loss.centres.unflatten(1, (2, 2))[labels]
    each = [(parts[:, at] - centres[:, at]).square().sum(1).mean().item() for at in range(2)]
    assert loss(outputs_of(parts=parts), batch_of(labels)).item() == pytest.approx(sum(each), rel=1e-5)


def test_ring_loss_by_hand() -> None:
    parts = _parts()
    lengths = np.linalg.norm(parts.double().numpy(), axis=2)
    loss = RingLossSpec(stripes=2).build(**SIZES)
    got = loss(outputs_of(parts=parts), batch_of([0] * 5))
    assert got.item() == pytest.approx(((lengths - 1.5) ** 2).mean(0).sum(), rel=1e-5)
    got.backward()
    np.testing.assert_allclose(loss.radii.grad.numpy(), -2 * (lengths - 1.5).mean(0), rtol=1e-4, atol=1e-6)
    whole = np.linalg.norm(parts.flatten(1).double().numpy(), axis=1)
    one = RingLossSpec().build(**SIZES)
    assert one(outputs_of(parts=parts), batch_of([0] * 5)).item() == pytest.approx(
        ((whole - 1.5) ** 2).mean(), rel=1e-5
    )


def test_ring_loss_starts_from_the_first_batch_if_told() -> None:
    loss = RingLossSpec(radius="first_batch", stripes=2).build(**SIZES)
    lengths = [_parts(seed).norm(dim=2) for seed in range(2)]
    loss(outputs_of(parts=_parts(0)), batch_of([0] * 5))
    torch.testing.assert_close(loss.radii.data, lengths[0].mean(0))
    again = loss(outputs_of(parts=_parts(1)), batch_of([0] * 5))
    torch.testing.assert_close(again.detach(), (lengths[1] - lengths[0].mean(0)).square().mean(0).sum())


def test_ring_loss_with_the_wrong_number_of_stripes() -> None:
    with pytest.raises(RecipeInvalid, match="stripes: 2"):
        RingLossSpec(stripes=4).build(**SIZES)(outputs_of(parts=_parts()), batch_of([0] * 5))


def test_accuracy_loss_is_one_minus_the_probability_of_the_true_class() -> None:
    logits, labels = np.random.default_rng(0).normal(size=(5, 3)), np.array([0, 1, 2, 0, 1])
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    y = np.eye(3)[labels]
    tp, fp = (p * y).sum(1), ((1 - y) * p).sum(1)
    tensor = torch.tensor(logits, requires_grad=True)
    got = AccuracyLossSpec().build(**SIZES)(outputs_of(logits=tensor), batch_of(labels))
    assert got.item() == pytest.approx(1 - (tp / (tp + fp)).mean())
    got.backward()
    true = p[np.arange(5), labels]
    np.testing.assert_allclose(tensor.grad.numpy()[np.arange(5), labels], -true * (1 - true) / 5, rtol=1e-5)


def test_accuracy_loss_of_mixed_photos() -> None:
    logits, mixed = np.random.default_rng(0).normal(size=(2, 3)), np.array([[0.5, 0.5, 0], [0, 0.2, 0.8]])
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    got = AccuracyLossSpec().build(**SIZES)(outputs_of(logits=torch.tensor(logits)), batch_of([0, 2], mixed=mixed))
    assert got.item() == pytest.approx(1 - (p * mixed).sum(1).mean())
