"""CurricularFace: hard wrong classes count less early in training and more later."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from training.losses.angular import CosineClassifier, add_angular_margin, put_target
from training.losses.margin import MarginLoss
from training.spec import Spec

__all__ = ["CurricularFace", "CurricularFaceSpec"]


class CurricularFaceSpec(Spec):
    """`CurricularFace`, with the source's scale, margin and rate.

    Attributes:
        scale: of the cosines.
        margin: radians.
        rate: share of the newest batch in the running cosine.
    """

    kind: Literal["curricularface"] = "curricularface"
    scale: Annotated[float, Field(gt=0)] = 64.0
    margin: Annotated[float, Field(ge=0, lt=1.57)] = 0.5
    rate: Annotated[float, Field(gt=0, le=1)] = 0.01

    def build(self, *, classes: int, dim: int, counts: Tensor) -> CurricularFace:  # noqa: ARG002
        return CurricularFace(CosineClassifier(classes, dim), self.scale, self.margin, self.rate)


class CurricularFace(MarginLoss):
    """ArcFace whose wrong classes, where they beat the true class with its margin, score cos (t + cos).

    t is a running mean of the true class's cosine, which grows as training goes on. Source: Huang et al.,
    CurricularFace, CVPR 2020, equations 5 to 8, and HuangYG123/CurricularFace, head/metrics.py.

    Args:
        classifier: owns the class weights.
        scale: of the cosines.
        margin: radians.
        rate: of the running mean.
    """

    t: Tensor

    def __init__(self, classifier: CosineClassifier, scale: float, margin: float, rate: float) -> None:
        super().__init__(classifier, scale)
        self.margin, self.rate = margin, rate
        self.register_buffer("t", torch.tensor(0.0))

    def logits(self, cosines: Tensor, embedding: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG002
        true = cosines.gather(1, labels[:, None])
        if self.training:
            self.t.lerp_(true.detach().mean(), self.rate)
        # What a wrong class must beat is cos(angle + m) itself, also where the target is its continuation.
        bar = (true.clamp(-1, 1).acos() + self.margin).cos().detach()
        curricular = torch.where(cosines > bar, cosines * (self.t + cosines), cosines)
        return self.scale * put_target(curricular, labels, add_angular_margin(true[:, 0], self.margin))
