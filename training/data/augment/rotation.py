"""The photo turned a little."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torchvision.transforms import InterpolationMode, v2

from embedding.preprocess import PreprocessSpec
from training.data.augment.step import Step, mean_colour
from training.spec import Spec

__all__ = ["Rotation"]


class Rotation(Spec):
    """Turned about its middle, corners in the mean colour. Source of the default: JDAI-CV/DCL, 15 degrees at 512 pixels
    before the crop to 448.

    Attributes:
        degrees: most, either way.
    """

    kind: Literal["rotation"] = "rotation"
    degrees: float = Field(default=15.0, gt=0, le=180)

    def build(self, canvas: PreprocessSpec) -> Step:
        step: Step = v2.RandomRotation(self.degrees, InterpolationMode.BILINEAR, fill=mean_colour(canvas))
        return step

    def side_after(self, side: int | None, canvas: PreprocessSpec) -> int | None:  # noqa: ARG002
        return side
