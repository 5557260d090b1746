"""The thing photographed again, by simulation: for labels with one clean picture."""

from __future__ import annotations

from typing import Literal

import torch
from PIL import Image
from pydantic import Field

from embedding.preprocess import PreprocessSpec
from embedding.rephotograph import rephotograph
from training.data.augment.step import Step
from training.spec import Spec

__all__ = ["Rephotographed"]


class Rephotographed(Spec):
    """Another viewpoint, light, camera and background, as `embedding.rephotograph` has it; before any resize.

    Attributes:
        strength: 0..2; 1 is a careless snapshot.
        probability: of being applied.
    """

    kind: Literal["rephotographed"] = "rephotographed"
    strength: float = Field(default=1.0, ge=0, le=2)
    probability: float = Field(default=0.5, ge=0, le=1)

    def build(self, canvas: PreprocessSpec) -> Step:  # noqa: ARG002
        return self._again

    def side_after(self, side: int | None, canvas: PreprocessSpec) -> int | None:  # noqa: ARG002
        return None

    def _again(self, image: Image.Image) -> Image.Image:
        if torch.rand(()).item() >= self.probability:
            return image
        return rephotograph(image, seed=int(torch.randint(2**32, ())), strength=self.strength)
