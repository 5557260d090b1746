"""What every step of an augmentation gives: a function from an RGB photo to another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

from PIL import Image
from torchvision.transforms import InterpolationMode

from embedding.preprocess import PreprocessSpec

__all__ = ["Step", "StepBuilder", "colour_beyond", "interpolation_of", "mean_colour"]

Step: TypeAlias = Callable[[Image.Image], Image.Image]
"""RGB to RGB. What it draws, it draws from torch's own generator: see `training.data.chance.seeded`."""


class StepBuilder(Protocol):
    """A step as a recipe says it."""

    def build(self, canvas: PreprocessSpec) -> Step:
        """The step, for a network that wants its photos as `canvas` says."""

    def side_after(self, side: int | None, canvas: PreprocessSpec) -> int | None:
        """The side of the square photo that it leaves, in pixels, if the step before left `side`; None: any shape."""


def mean_colour(canvas: PreprocessSpec) -> tuple[int, int, int]:
    """What stands where a photo does not reach: 0 after normalisation, as in `embedding.preprocess`."""
    red, green, blue = (min(255, max(0, round(255 * value))) for value in canvas.mean)
    return red, green, blue


def colour_beyond(fill: Literal["mean", "white"], canvas: PreprocessSpec) -> tuple[int, int, int]:
    """The colour of what lies beyond the photo's edge."""
    return (255, 255, 255) if fill == "white" else mean_colour(canvas)


def interpolation_of(canvas: PreprocessSpec) -> InterpolationMode:
    """The one that serving uses."""
    return InterpolationMode(canvas.interpolation)
