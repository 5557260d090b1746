"""Centre loss: photos of a label draw together."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from training.batch import Batch, Outputs
from training.losses.loss import Loss
from training.spec import Spec

__all__ = ["CenterLoss", "CenterLossSpec"]


class CenterLossSpec(Spec):
    """`CenterLoss`; the whale 7th place weighs it with 0.5.

    Attributes:
        rate: how far a centre moves towards its photos in a step.
    """

    kind: Literal["center"] = "center"
    rate: Annotated[float, Field(gt=0, le=1)] = 0.5

    def build(self, *, classes: int, dim: int, counts: Tensor) -> CenterLoss:  # noqa: ARG002
        return CenterLoss(classes, dim, self.rate)


class CenterLoss(Loss):
    """Mean squared distance of embeddings from their label's centre.

    On an embedding of stripes that is the sum of the stripes' own centre losses. Without the paper's factor of a half,
    as in ducha-aiki/whale-identification-2018, losses.py. Centres move by the paper's own rule, not by the optimiser:
    after the loss, c += rate * sum(x - c) / (1 + n) over the batch's n photos of the label, in training alone. Source:
    Wen et al., A Discriminative Feature Learning Approach for Deep Face Recognition, ECCV 2016, equations 2 to 4.

    Attributes:
        centres: (classes, d), normal at first.
    """

    centres: Tensor

    def __init__(self, classes: int, dim: int, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.register_buffer("centres", torch.randn(classes, dim))

    def judge(self, outputs: Outputs, batch: Batch) -> tuple[Tensor, Tensor | None]:
        away = outputs.embedding.float() - self.centres[batch.labels]
        if self.training:
            self._move(away.detach(), batch.labels)
        return away.square().sum(1), None

    def _move(self, away: Tensor, labels: Tensor) -> None:
        summed = torch.zeros_like(self.centres).index_add_(0, labels, away)
        photos = torch.bincount(labels, minlength=len(self.centres))
        self.centres += self.rate * summed / (1 + photos[:, None])
