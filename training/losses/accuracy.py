"""The accuracy loss of the AliProducts winner."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor

from training.batch import Batch, Outputs
from training.losses.loss import Loss, needed
from training.spec import Spec

__all__ = ["AccuracyLoss", "AccuracyLossSpec"]


class AccuracyLossSpec(Spec):
    """`AccuracyLoss`, for two or three epochs on balanced photos after training with cross-entropy."""

    kind: Literal["accuracy"] = "accuracy"

    def build(self, *, classes: int, dim: int, counts: Tensor) -> AccuracyLoss:  # noqa: ARG002
        return AccuracyLoss()


class AccuracyLoss(Loss):
    """1 - p(true class), p the softmax of the classifier's logits.

    Source: Liang and Zhang, Winner Solution for AliProducts Challenge, CVPR 2020, section 4: with tp = sum(y p) and
    fp = sum((1 - y) p), 1 - tp / (tp + fp). As p sums to 1, so does tp + fp. Its printed code makes tp a pair instead
    of a product, and its equation read element by element does not depend on p; this is what both mean.

    The gradient of the true class's logit is -p (1 - p), which vanishes for photos that are badly wrong: it cannot
    train a network from the start.
    """

    takes_mixed: ClassVar[bool] = True

    def judge(self, outputs: Outputs, batch: Batch) -> tuple[Tensor, Tensor | None]:
        p = needed(outputs.logits, self, "the logits of a classifier").softmax(1)
        if batch.mixed is not None:
            return 1 - (p * batch.mixed).sum(1), None
        return 1 - p.gather(1, batch.labels[:, None])[:, 0], None
