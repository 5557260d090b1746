"""AdaCos: no margin, and a scale that is found while training."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from training.errors import RecipeInvalid
from training.losses.angular import CosineClassifier, put_target
from training.losses.margin import MarginLoss
from training.spec import Spec

__all__ = ["AdaCos", "AdaCosSpec"]


class AdaCosSpec(Spec):
    """`AdaCos`; it has nothing to choose."""

    kind: Literal["adacos"] = "adacos"

    def build(self, *, classes: int, dim: int, counts: Tensor) -> AdaCos:  # noqa: ARG002
        """Make the loss.

        Raises:
            RecipeInvalid: fewer than 3 classes, for which the first scale would be nought.
        """
        if classes < 3:
            raise RecipeInvalid(f"AdaCos needs at least 3 classes to find its scale; there are {classes}.")
        return AdaCos(CosineClassifier(classes, dim))


class AdaCos(MarginLoss):
    """Softmax over s cos, where s makes the softmax neither flat nor sharp for the middle photo of the batch.

    s = ln(B) / cos(min(pi / 4, median angle to the true class)); B is the mean over photos of the sum of exp(s cos)
    over wrong classes, with the s before. It starts at sqrt(2) ln(classes - 1). Source: Zhang et al., AdaCos, CVPR
    2019, equations 13 and 15, and 4uiiurz1/pytorch-adacos, metrics.py.

    Args:
        classifier: owns the class weights.
    """

    def __init__(self, classifier: CosineClassifier) -> None:
        super().__init__(classifier, math.sqrt(2) * math.log(classifier.classes - 1), finds_scale=True)

    def logits(self, cosines: Tensor, embedding: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG002
        if self.training:
            self._find_scale(cosines.detach(), labels)
        # A copy: the next batch moves the scale in place, maybe before this one's gradients are computed.
        return self.scale.clone() * cosines

    def _find_scale(self, cosines: Tensor, labels: Tensor) -> None:
        nothing = cosines.new_full((len(labels),), -math.inf)
        wrong = put_target(self.scale * cosines, labels, nothing)
        log_mean = wrong.logsumexp((0, 1)) - math.log(len(labels))  # of sums that would overflow where the scale is big
        angle = cosines.gather(1, labels[:, None]).clamp(-1, 1).acos().median()
        self.scale.copy_(log_mean / torch.cos(angle.clamp(max=math.pi / 4)))
