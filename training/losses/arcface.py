"""ArcFace: an angular margin, and more weight for classes of few photos."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from training.losses.angular import CosineClassifier, add_angular_margin, put_target
from training.losses.margin import MarginLoss
from training.spec import Spec

__all__ = ["ArcFace", "ArcFaceSpec", "inverse_log_weights"]


class ArcFaceSpec(Spec):
    """`ArcFace`; the landmark winner's scale, and margins of 0.3 to 0.4 by configuration.

    Attributes:
        scale: of the cosines.
        margin: radians.
        class_weights: `inverse_log` for `inverse_log_weights`, `none` for classes that weigh the same.
    """

    kind: Literal["arcface"] = "arcface"
    scale: Annotated[float, Field(gt=0)] = 45.0
    margin: Annotated[float, Field(ge=0, lt=1.57)] = 0.4
    class_weights: Literal["inverse_log", "none"] = "inverse_log"

    def build(self, *, classes: int, dim: int, counts: Tensor) -> ArcFace:
        weights = inverse_log_weights(counts) if self.class_weights == "inverse_log" else None
        return ArcFace(CosineClassifier(classes, dim), self.scale, self.margin, weights)


def inverse_log_weights(counts: Tensor) -> Tensor:
    """Weights of classes by their number of photos: 1 / ln(1 + n), scaled to a mean of 1.

    A class without photos, which no batch can show, counts as one of one photo. Source:
    psinger/kaggle-landmark-recognition-2020-1st-place.

    Args:
        counts: (classes,).
    """
    weights = 1 / counts.clamp(min=1).double().log1p()
    return (weights / weights.mean()).float()


class ArcFace(MarginLoss):
    """Softmax over s cos(angle + m for the true class). Source: Deng et al., ArcFace, CVPR 2019; class weights and the
    mean sum(w l) / sum(w): psinger/kaggle-landmark-recognition-2020-1st-place, src/loss.py.

    Args:
        classifier: owns the class weights.
        scale: s.
        margin: m, radians.
        class_weights: (classes,), or None.
    """

    class_weights: Tensor | None

    def __init__(
        self, classifier: CosineClassifier, scale: float, margin: float, class_weights: Tensor | None = None
    ) -> None:
        super().__init__(classifier, scale)
        self.margin = margin
        # Not saved: the next stage may train on other photos, whose counts it brings.
        self.register_buffer("class_weights", class_weights, persistent=False)

    def logits(self, cosines: Tensor, embedding: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG002
        target = add_angular_margin(cosines.gather(1, labels[:, None])[:, 0], self.margin)
        return self.scale * put_target(cosines, labels, target)

    def photo_weights(self, labels: Tensor) -> Tensor | None:
        return None if self.class_weights is None else self.class_weights[labels]
