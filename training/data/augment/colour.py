"""Another light, another camera; or no colour at all."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torchvision.transforms import v2

from embedding.preprocess import PreprocessSpec
from training.data.augment.step import Step
from training.spec import Spec

__all__ = ["ColourJitter", "Greyscale"]


class ColourJitter(Spec):
    """Brightness, contrast, saturation and hue changed in random order.

    Attributes:
        brightness, contrast, saturation: factors of 1 - x to 1 + x.
        hue: most, either way, as a share of the colour circle.
        probability: of being applied.
    """

    kind: Literal["colour_jitter"] = "colour_jitter"
    brightness: float = Field(default=0.4, ge=0, le=1)
    contrast: float = Field(default=0.4, ge=0, le=1)
    saturation: float = Field(default=0.4, ge=0, le=1)
    hue: float = Field(default=0.1, ge=0, le=0.5)
    probability: float = Field(default=0.8, ge=0, le=1)

    def build(self, canvas: PreprocessSpec) -> Step:  # noqa: ARG002
        jitter = v2.ColorJitter(self.brightness, self.contrast, self.saturation, self.hue)
        step: Step = v2.RandomApply([jitter], self.probability)
        return step

    def side_after(self, side: int | None, canvas: PreprocessSpec) -> int | None:  # noqa: ARG002
        return side


class Greyscale(Spec):
    """Brightness alone, in all three channels. Source: the whale challenge's 7th place, "RGB2Gray augmentation".

    Attributes:
        probability: of being applied.
    """

    kind: Literal["greyscale"] = "greyscale"
    probability: float = Field(default=0.1, ge=0, le=1)

    def build(self, canvas: PreprocessSpec) -> Step:  # noqa: ARG002
        step: Step = v2.RandomGrayscale(self.probability)
        return step

    def side_after(self, side: int | None, canvas: PreprocessSpec) -> int | None:  # noqa: ARG002
        return side
