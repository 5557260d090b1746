"""Each margin loss against its formula in NumPy, float64, one photo at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

torch = pytest.importorskip("torch", reason="needs the training extra")

from tests.training.losses.given import batch_of, outputs_of  # noqa: E402
from training.errors import RecipeInvalid  # noqa: E402
from training.losses.margin import MarginLoss  # noqa: E402
from training.losses.objective import LossSpec  # noqa: E402
from training.losses.sub_centre import dynamic_margins  # noqa: E402

pytestmark = pytest.mark.torch

CLASSES, DIM, PHOTOS = 6, 5, 9
COUNTS = torch.tensor([2, 10, 100, 1000, 6272, 50])
LABELS = np.array([0, 1, 2, 3, 4, 5, 0, 1, 2])
Array = NDArray[np.float64]


def _loss(kind: str, **words: Any) -> MarginLoss:
    torch.manual_seed(3)
    spec = TypeAdapter(LossSpec).validate_python({"kind": kind, **words})
    return spec.build(classes=CLASSES, dim=DIM, counts=COUNTS)


def _embeddings() -> torch.Tensor:
    return 3 * torch.randn(PHOTOS, DIM, generator=torch.Generator().manual_seed(4))


def _cosines(loss: MarginLoss, embedding: torch.Tensor) -> Array:
    rows, x = loss.classifier.weight.detach().double().numpy(), embedding.double().numpy()
    return (x / np.linalg.norm(x, axis=1, keepdims=True)) @ (rows / np.linalg.norm(rows, axis=1, keepdims=True)).T


def _cross_entropy(logits: Array) -> float:
    shifted = logits - logits.max(1, keepdims=True)
    return float(-(shifted - np.log(np.exp(shifted).sum(1, keepdims=True)))[np.arange(PHOTOS), LABELS].mean())


def _angular(cosine: float, margin: float) -> float:
    angle = np.arccos(cosine)
    return np.cos(angle + margin) if angle + margin < np.pi else cosine - margin * np.sin(margin)


def _with_target(cosines: Array, target: Callable[[int, float], float]) -> Array:
    out = cosines.copy()
    for photo, label in enumerate(LABELS):
        out[photo, label] = target(photo, cosines[photo, label])
    return out


def _value(loss: MarginLoss, embedding: torch.Tensor) -> float:
    return loss(outputs_of(embedding), batch_of(LABELS)).item()


def test_cosface() -> None:
    loss, x = _loss("cosface", scale=16.0, margin=0.2), _embeddings()
    expected = _cross_entropy(16 * _with_target(_cosines(loss, x), lambda _, cosine: cosine - 0.2))
    assert _value(loss, x) == pytest.approx(expected, rel=1e-4)


def test_sub_centre_arcface_takes_the_nearest_centre_and_its_class_margin() -> None:
    loss, x = _loss("sub_centre_arcface", centres=3, scale=20.0), _embeddings()
    cosines = _cosines(loss, x).reshape(PHOTOS, CLASSES, 3).max(2)
    falling = COUNTS.double().numpy() ** -0.25
    margins = 0.05 + 0.45 * (falling - falling.min()) / (falling.max() - falling.min())
    moved = _with_target(cosines, lambda photo, cosine: _angular(cosine, margins[LABELS[photo]]))
    assert _value(loss, x) == pytest.approx(_cross_entropy(20 * moved), rel=1e-4)
    np.testing.assert_allclose(loss.scores(x).detach().numpy(), 20 * cosines, rtol=1e-4, atol=1e-4)


def test_the_table_of_dynamic_margins() -> None:
    margins = dynamic_margins(torch.tensor([2, 10, 100, 1000, 6272]), least=0.05, most=0.5, power=0.25)
    np.testing.assert_allclose(margins.numpy(), [0.50, 0.33, 0.18, 0.09, 0.05], atol=0.005)
    same = dynamic_margins(torch.tensor([7, 7]), least=0.1, most=0.5, power=0.25)
    np.testing.assert_allclose(same.numpy(), [0.3, 0.3], rtol=1e-6)
    with pytest.raises(ValidationError, match="least must not be more"):
        _loss("sub_centre_arcface", least=0.6)


def test_adaface() -> None:
    loss, x = _loss("adaface", scale=16.0, rate=0.25), _embeddings()
    lengths = np.linalg.norm(x.double().numpy(), axis=1)
    mean = 0.75 * 20 + 0.25 * lengths.mean()
    spread = 0.75 * 100 + 0.25 * lengths.std(ddof=1)
    quality = np.clip(0.333 * (lengths - mean) / (spread + 1e-3), -1, 1)

    def target(photo: int, cosine: float) -> float:
        return np.cos(np.arccos(cosine) - 0.4 * quality[photo]) - 0.4 * (1 + quality[photo])

    expected = _cross_entropy(16 * _with_target(_cosines(loss, x), target))
    assert _value(loss, x) == pytest.approx(expected, rel=1e-4)
    assert (loss.mean.item(), loss.spread.item()) == pytest.approx((mean, spread))
    _value(loss.eval(), x)
    assert loss.mean.item() == pytest.approx(mean)


def test_curricularface() -> None:
    loss, x = _loss("curricularface", scale=16.0, margin=0.5, rate=0.5), _embeddings()
    cosines = _cosines(loss, x)
    t = 0.5 * cosines[np.arange(PHOTOS), LABELS].mean()
    curricular, hard = cosines.copy(), 0
    for photo, label in enumerate(LABELS):
        bar = np.cos(np.arccos(cosines[photo, label]) + 0.5)
        for other in range(CLASSES):
            if cosines[photo, other] > bar:
                curricular[photo, other], hard = cosines[photo, other] * (t + cosines[photo, other]), hard + 1
        curricular[photo, label] = _angular(cosines[photo, label], 0.5)
    assert hard > PHOTOS
    assert _value(loss, x) == pytest.approx(_cross_entropy(16 * curricular), rel=1e-4)
    assert loss.t.item() == pytest.approx(t, rel=1e-4)


def test_adacos_finds_its_scale() -> None:
    loss, x = _loss("adacos"), _embeddings()
    start = np.sqrt(2) * np.log(CLASSES - 1)
    assert loss.scale.item() == pytest.approx(start)
    cosines = _cosines(loss, x)
    wrong = sum(
        np.exp(start * cosines[photo, other])
        for photo, label in enumerate(LABELS)
        for other in range(CLASSES)
        if other != label
    )
    middle = np.sort(np.arccos(cosines[np.arange(PHOTOS), LABELS]))[PHOTOS // 2]
    scale = np.log(wrong / PHOTOS) / np.cos(min(np.pi / 4, middle))
    assert _value(loss, x) == pytest.approx(_cross_entropy(scale * cosines), rel=1e-4)
    assert loss.state_dict()["scale"].item() == pytest.approx(scale, rel=1e-5)
    np.testing.assert_allclose(loss.scores(x).detach().numpy(), scale * cosines, rtol=1e-3, atol=1e-4)


def test_adacos_needs_three_classes() -> None:
    with pytest.raises(RecipeInvalid, match="at least 3"):
        TypeAdapter(LossSpec).validate_python({"kind": "adacos"}).build(classes=2, dim=3, counts=torch.ones(2))


@pytest.mark.parametrize("kind", ["adacos", "adaface", "arcface", "cosface", "curricularface", "sub_centre_arcface"])
def test_two_steps_in_a_row_bring_finite_gradients_to_photo_and_class(kind: str) -> None:
    loss, x = _loss(kind), _embeddings().requires_grad_()
    first = loss(outputs_of(x), batch_of(LABELS))
    (first + loss(outputs_of(x), batch_of(LABELS))).backward()  # the second moves what the first still needs
    for gradient in (x.grad, loss.classifier.weight.grad):
        assert torch.isfinite(gradient).all()
        assert gradient.abs().sum() > 0


@pytest.mark.parametrize("kind", ["adacos", "adaface", "arcface", "cosface", "curricularface", "sub_centre_arcface"])
def test_half_precision_around_a_loss_does_not_reach_into_it(kind: str) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = _loss(kind)(outputs_of(_embeddings()), batch_of(LABELS))
    assert inside.dtype == torch.float32
    assert torch.equal(inside, _loss(kind)(outputs_of(_embeddings()), batch_of(LABELS)))
