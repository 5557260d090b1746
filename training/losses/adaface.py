"""AdaFace: a margin by how sure the network is of a photo, which its embedding's length tells."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from training.losses.angular import CosineClassifier, put_target
from training.losses.margin import MarginLoss
from training.spec import Spec

__all__ = ["AdaFace", "AdaFaceSpec"]

_EPS = 1e-3


class AdaFaceSpec(Spec):
    """`AdaFace`, as its README trains it.

    Attributes:
        scale: of the cosines.
        margin: of both kinds, in radians and in cosine.
        concentration: h: how much of the lengths' spread moves the margin.
        rate: share of the newest batch in the running mean and spread of lengths.
    """

    kind: Literal["adaface"] = "adaface"
    scale: Annotated[float, Field(gt=0)] = 64.0
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.4
    concentration: Annotated[float, Field(gt=0)] = 0.333
    rate: Annotated[float, Field(gt=0, le=1)] = 0.01

    def build(self, *, classes: int, dim: int, counts: Tensor) -> AdaFace:  # noqa: ARG002
        return AdaFace(CosineClassifier(classes, dim), self)


class AdaFace(MarginLoss):
    """Softmax over s cos(angle - m z) - m (1 + z) for the true class; z is the length of the embedding, standardised.

    Photos with long embeddings, which are good ones, get an additive margin that stresses hard ones; poor ones an
    angular margin that does not. Source: Kim et al., AdaFace, CVPR 2022, section 3.3, and mk-minchul/AdaFace, head.py:
    lengths are clipped to [0.001, 100], the running mean starts at 20 and the spread at 100.

    Args:
        classifier: owns the class weights.
        spec: scale, margin, concentration, rate.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, classifier: CosineClassifier, spec: AdaFaceSpec) -> None:
        super().__init__(classifier, spec.scale)
        self.margin, self.concentration, self.rate = spec.margin, spec.concentration, spec.rate
        self.register_buffer("mean", torch.tensor(20.0))
        self.register_buffer("spread", torch.tensor(100.0))

    def logits(self, cosines: Tensor, embedding: Tensor, labels: Tensor) -> Tensor:
        quality = self._quality(embedding.detach().norm(dim=1).clamp(0.001, 100))
        cosines = cosines.clamp(-1 + _EPS, 1 - _EPS)
        angle = cosines.gather(1, labels[:, None])[:, 0].acos()
        turned = (angle - self.margin * quality).clamp(_EPS, math.pi - _EPS).cos()
        return self.scale * put_target(cosines, labels, turned - self.margin * (1 + quality))

    def _quality(self, lengths: Tensor) -> Tensor:
        if self.training:
            self.mean.lerp_(lengths.mean(), self.rate)
            if len(lengths) > 1:
                self.spread.lerp_(lengths.std(), self.rate)
        return (self.concentration * (lengths - self.mean) / (self.spread + _EPS)).clamp(-1, 1)
