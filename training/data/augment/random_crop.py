"""A square region at a random place."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torchvision.transforms import v2

from embedding.preprocess import PreprocessSpec
from training.data.augment.step import Step, mean_colour
from training.spec import Spec

__all__ = ["RandomCrop"]


class RandomCrop(Spec):
    """Source: the landmark winner's configurations, psinger/kaggle-landmark-recognition-2020-1st-place: 448 of 512 and
    the like, after a `resize`. A photo that is smaller gets margins of the mean colour.

    Attributes:
        side: pixels; the network's if not given.
    """

    kind: Literal["random_crop"] = "random_crop"
    side: int | None = Field(default=None, ge=8, le=4096)

    def build(self, canvas: PreprocessSpec) -> Step:
        step: Step = v2.RandomCrop(self.side or canvas.crop, pad_if_needed=True, fill=mean_colour(canvas))
        return step

    def side_after(self, side: int | None, canvas: PreprocessSpec) -> int | None:  # noqa: ARG002
        return self.side or canvas.crop
