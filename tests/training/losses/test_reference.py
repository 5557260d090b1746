"""The losses that pytorch-metric-learning has, against it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

torch = pytest.importorskip("torch", reason="needs the training extra")
reference = pytest.importorskip("pytorch_metric_learning", reason="the library that is compared with")

from pytorch_metric_learning import losses, miners  # noqa: E402
from pytorch_metric_learning.distances import LpDistance  # noqa: E402
from pytorch_metric_learning.reducers import MeanReducer  # noqa: E402

from tests.training.losses.given import batch_of, outputs_of  # noqa: E402
from training.losses.loss import Loss  # noqa: E402
from training.losses.objective import LossSpec  # noqa: E402

pytestmark = pytest.mark.torch

CLASSES, DIM = 7, 16
LABELS = np.repeat(np.arange(CLASSES), 3)


def _loss(kind: str, **words: Any) -> Loss:
    spec = TypeAdapter(LossSpec).validate_python({"kind": kind, **words})
    return spec.build(classes=CLASSES, dim=DIM, counts=torch.full((CLASSES,), 9))


def _compare(ours: Loss, theirs: torch.nn.Module, indices: Any = None) -> None:
    values, gradients = [], []
    for loss in (
        lambda x: ours(outputs_of(x), batch_of(LABELS)),
        lambda x: theirs(x, torch.as_tensor(LABELS), indices(x, torch.as_tensor(LABELS)) if indices else None),
    ):
        x = torch.randn(len(LABELS), DIM, generator=torch.Generator().manual_seed(5)).requires_grad_()
        value = loss(x)
        value.backward()
        values.append(value.item())
        gradients.append(x.grad)
    assert values[0] == pytest.approx(values[1], rel=1e-4)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("radians", "degrees"), [(0.3, 17.19), (0.35, 20.05), (0.4, 22.92), (0.5, 28.65)])
def test_arcface_with_its_margin_in_degrees(radians: float, degrees: float) -> None:
    assert np.degrees(radians) == pytest.approx(degrees, abs=0.006)
    ours = _loss("arcface", margin=radians)
    theirs = losses.ArcFaceLoss(CLASSES, DIM, margin=np.degrees(radians), scale=45)
    theirs.W.data = ours.classifier.weight.data.T.clone()
    _compare(ours, theirs)


def test_cosface() -> None:
    ours = _loss("cosface", margin=0.35, scale=64)
    theirs = losses.CosFaceLoss(CLASSES, DIM, margin=0.35, scale=64)
    theirs.W.data = ours.classifier.weight.data.T.clone()
    _compare(ours, theirs)


def test_sub_centre_arcface_with_one_margin() -> None:
    ours = _loss("sub_centre_arcface", centres=3, scale=64, least=0.4, most=0.4)
    theirs = losses.SubCenterArcFaceLoss(
        num_classes=CLASSES, embedding_size=DIM, margin=np.degrees(0.4), scale=64, sub_centers=3
    )
    theirs.W.data = ours.classifier.weight.data.T.clone()
    _compare(ours, theirs)


@pytest.mark.parametrize("margin", ["soft", 0.2, 2.0])
def test_batch_hard_triplet(margin: Any) -> None:
    plain = LpDistance(normalize_embeddings=False)
    theirs = losses.TripletMarginLoss(
        margin=0 if margin == "soft" else margin, smooth_loss=margin == "soft", distance=plain, reducer=MeanReducer()
    )
    _compare(_loss("triplet", margin=margin), theirs, miners.BatchHardMiner(distance=plain))
