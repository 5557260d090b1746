"""Policies of operations on colour and shape: learnt ones, and random ones."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torchvision.transforms import InterpolationMode, v2

from embedding.preprocess import PreprocessSpec
from training.data.augment.step import Step, mean_colour
from training.spec import Spec

__all__ = ["AutoAugment", "RandAugment"]


class AutoAugment(Spec):
    """One of the 25 sub-policies learnt on ImageNet (24 by VIPriors' 2nd place), each of two operations.

    Source: Cubuk et al., AutoAugment (CVPR 2019), appendix; torchvision's.
    """

    kind: Literal["auto_augment"] = "auto_augment"

    def build(self, canvas: PreprocessSpec) -> Step:
        step: Step = v2.AutoAugment(
            v2.AutoAugmentPolicy.IMAGENET, InterpolationMode.BILINEAR, fill=list(map(float, mean_colour(canvas)))
        )
        return step

    def side_after(self, side: int | None, canvas: PreprocessSpec) -> int | None:  # noqa: ARG002
        return side


class RandAugment(Spec):
    """Operations drawn alike, all of one strength. Source: Cubuk et al., RandAugment (CVPRW 2020); torchvision's.

    Attributes:
        operations: one after the other.
        strength: 0..30.
    """

    kind: Literal["rand_augment"] = "rand_augment"
    operations: int = Field(default=2, ge=1, le=8)
    strength: int = Field(default=9, ge=0, le=30)

    def build(self, canvas: PreprocessSpec) -> Step:
        step: Step = v2.RandAugment(
            self.operations,
            self.strength,
            interpolation=InterpolationMode.BILINEAR,
            fill=list(map(float, mean_colour(canvas))),
        )
        return step

    def side_after(self, side: int | None, canvas: PreprocessSpec) -> int | None:  # noqa: ARG002
        return side
