"""CosFace: a margin taken off the cosine."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from training.losses.angular import CosineClassifier, put_target
from training.losses.margin import MarginLoss
from training.spec import Spec

__all__ = ["CosFace", "CosFaceSpec"]


class CosFaceSpec(Spec):
    """`CosFace`, with the paper's scale and margin.

    Attributes:
        scale: of the cosines.
        margin: in cosine.
    """

    kind: Literal["cosface"] = "cosface"
    scale: Annotated[float, Field(gt=0)] = 64.0
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.35

    def build(self, *, classes: int, dim: int, counts: Tensor) -> CosFace:  # noqa: ARG002
        return CosFace(CosineClassifier(classes, dim), self.scale, self.margin)


class CosFace(MarginLoss):
    """Softmax over s (cos - m for the true class). Source: Wang et al., CosFace, CVPR 2018, equation 4.

    Args:
        classifier: owns the class weights.
        scale: s.
        margin: m.
    """

    def __init__(self, classifier: CosineClassifier, scale: float, margin: float) -> None:
        super().__init__(classifier, scale)
        self.margin = margin

    def logits(self, cosines: Tensor, embedding: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG002
        return self.scale * put_target(cosines, labels, cosines.gather(1, labels[:, None])[:, 0] - self.margin)
