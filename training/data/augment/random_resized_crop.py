"""A random region of random area and shape, scaled to a square."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torchvision.transforms import v2

from embedding.preprocess import PreprocessSpec
from training.data.augment.step import Step, interpolation_of
from training.spec import Spec

__all__ = ["RandomResizedCrop"]


class RandomResizedCrop(Spec):
    """Source: Szegedy et al., Going Deeper with Convolutions (CVPR 2015), section 6; ranges as in VIPriors' 2nd place.

    Attributes:
        side: pixels; the network's if not given.
        area: share of the photo's area, least and most.
        ratio: width by height, least and most.
    """

    kind: Literal["random_resized_crop"] = "random_resized_crop"
    side: int | None = Field(default=None, ge=8, le=4096)
    area: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)

    def build(self, canvas: PreprocessSpec) -> Step:
        step: Step = v2.RandomResizedCrop(
            self.side or canvas.crop, scale=self.area, ratio=self.ratio, interpolation=interpolation_of(canvas)
        )
        return step

    def side_after(self, side: int | None, canvas: PreprocessSpec) -> int | None:  # noqa: ARG002
        return self.side or canvas.crop
