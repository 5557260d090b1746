"""The photo sheared, stretched and moved a little."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator
from torchvision.transforms import InterpolationMode, v2

from embedding.preprocess import PreprocessSpec
from training.data.augment.step import Step, colour_beyond
from training.spec import Spec

__all__ = ["Affine"]


class Affine(Spec):
    """An affine map about the middle: turned, scaled, sheared and moved by chance; corners in `fill`.

    Two photos of a flat thing from a little aside differ by about that much, and so do two hands that draw one
    character: ranges as in Koch, Zemel and Salakhutdinov, Siamese Neural Networks for One-shot Image Recognition
    (2015).

    Attributes:
        degrees: most, either way.
        shear: most, either way, along both axes, in degrees.
        scale: least and most, drawn evenly.
        shift: most, either way, along both axes, as a part of the side.
        fill: the colour beyond the photo's edge: the mean, or white, for drawings.
    """

    kind: Literal["affine"] = "affine"
    degrees: float = Field(default=10.0, ge=0, le=180)
    shear: float = Field(default=17.0, ge=0, le=45)
    scale: tuple[Annotated[float, Field(gt=0, le=10)], Annotated[float, Field(gt=0, le=10)]] = (0.8, 1.2)
    shift: float = Field(default=0.02, ge=0, le=0.5)
    fill: Literal["mean", "white"] = "mean"

    @field_validator("scale")
    @classmethod
    def _least_first(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if scale[0] > scale[1]:
            raise ValueError(f"wants the least first; {scale[0]} is more than {scale[1]}")
        return scale

    def build(self, canvas: PreprocessSpec) -> Step:
        step: Step = v2.RandomAffine(
            self.degrees,
            (self.shift, self.shift),
            self.scale,
            (-self.shear, self.shear, -self.shear, self.shear),
            InterpolationMode.BILINEAR,
            fill=colour_beyond(self.fill, canvas),
        )
        return step

    def side_after(self, side: int | None, canvas: PreprocessSpec) -> int | None:  # noqa: ARG002
        return side
