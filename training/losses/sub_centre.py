"""Sub-centre ArcFace: several centres a class, and margins that shrink as a class has more photos."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from training.losses.angular import CosineClassifier, add_angular_margin, put_target
from training.losses.margin import MarginLoss
from training.spec import Spec

__all__ = ["SubCentreArcFace", "SubCentreArcFaceSpec", "dynamic_margins"]

Radians = Annotated[float, Field(ge=0, lt=1.57)]


class SubCentreArcFaceSpec(Spec):
    """`SubCentreArcFace`, with the landmark 2020 3rd place's choices.

    Attributes:
        centres: of each class.
        scale: of the cosines.
        least, most: margins of the class with most photos and of the one with fewest, radians.
        power: how a margin falls with the number of photos.
    """

    kind: Literal["sub_centre_arcface"] = "sub_centre_arcface"
    centres: Annotated[int, Field(ge=1, le=32)] = 3
    scale: Annotated[float, Field(gt=0)] = 80.0
    least: Radians = 0.05
    most: Radians = 0.5
    power: Annotated[float, Field(gt=0)] = 0.25

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.least > self.most:
            raise ValueError(f"least is {self.least} and most {self.most}; least must not be more")
        return self

    def build(self, *, classes: int, dim: int, counts: Tensor) -> SubCentreArcFace:
        margins = dynamic_margins(counts, least=self.least, most=self.most, power=self.power)
        return SubCentreArcFace(CosineClassifier(classes, dim, self.centres), self.scale, margins)


def dynamic_margins(counts: Tensor, *, least: float, most: float, power: float) -> Tensor:
    """Margins of classes by their number of photos n: n^-power, stretched to fill [least, most].

    Where all classes have as many photos, the middle. A class without photos counts as one of one photo. Source: Ha et
    al., Google Landmark Recognition 2020 Competition Third Place Solution, and haqishen's train.py of it.

    Args:
        counts: (classes,).
        least, most: radians.
        power: a quarter in the source.
    """
    falling = counts.clamp(min=1).double().pow(-power)
    span = falling.max() - falling.min()
    place = (falling - falling.min()) / span if span > 0 else torch.full_like(falling, 0.5)
    return (least + (most - least) * place).float()


class SubCentreArcFace(MarginLoss):
    """ArcFace on the nearest of a class's centres, so that a class may have several looks, and noise a centre of its
    own. Source: Deng et al., Sub-center ArcFace, ECCV 2020; margins: `dynamic_margins`.

    Args:
        classifier: owns the class weights.
        scale: of the cosines.
        margins: (classes,), radians.
    """

    margins: Tensor

    def __init__(self, classifier: CosineClassifier, scale: float, margins: Tensor) -> None:
        super().__init__(classifier, scale)
        # Not saved: the next stage may train on other photos, whose counts it brings.
        self.register_buffer("margins", margins, persistent=False)

    def logits(self, cosines: Tensor, embedding: Tensor, labels: Tensor) -> Tensor:  # noqa: ARG002
        target = add_angular_margin(cosines.gather(1, labels[:, None])[:, 0], self.margins[labels])
        return self.scale * put_target(cosines, labels, target)
