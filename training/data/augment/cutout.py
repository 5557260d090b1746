"""A square of the photo taken out."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torchvision.transforms import v2

from embedding.preprocess import PreprocessSpec
from training.data.augment.step import Step, mean_colour
from training.spec import Spec

__all__ = ["Cutout"]


class Cutout(Spec):
    """A square of one colour at a random place, all of it within the photo.

    Source: DeVries and Taylor, Improved Regularization with Cutout (2017), whose square may reach over the edge and is
    0 after normalisation: the mean colour. The range of areas is that of Zhong et al., Random Erasing (AAAI 2020).

    Attributes:
        probability: of being applied.
        area: share of the photo's area, least and most.
        colour: `mean`, or `black` as where it stands before the normalisation (AliProducts).
    """

    kind: Literal["cutout"] = "cutout"
    probability: float = Field(default=0.5, ge=0, le=1)
    area: tuple[float, float] = (0.02, 0.33)
    colour: Literal["mean", "black"] = "mean"

    def build(self, canvas: PreprocessSpec) -> Step:
        colour = mean_colour(canvas) if self.colour == "mean" else (0, 0, 0)
        step: Step = v2.RandomErasing(self.probability, self.area, (1.0, 1.0), value=list(map(float, colour)))
        return step

    def side_after(self, side: int | None, canvas: PreprocessSpec) -> int | None:  # noqa: ARG002
        return side
