"""The photo mirrored, left to right."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torchvision.transforms import v2

from embedding.preprocess import PreprocessSpec
from training.data.augment.step import Step
from training.spec import Spec

__all__ = ["Flip"]


class Flip(Spec):
    """Not for what is another thing in the mirror: flukes of whales, packages with writing, characters.

    Attributes:
        probability: of being mirrored.
    """

    kind: Literal["flip"] = "flip"
    probability: float = Field(default=0.5, ge=0, le=1)

    def build(self, canvas: PreprocessSpec) -> Step:  # noqa: ARG002
        step: Step = v2.RandomHorizontalFlip(self.probability)
        return step

    def side_after(self, side: int | None, canvas: PreprocessSpec) -> int | None:  # noqa: ARG002
        return side
