"""A photo scaled: by its shorter or longer side, into a square with margins, or out of shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, Self, TypeAlias

from PIL import Image
from pydantic import Field, model_validator

from embedding.preprocess import PreprocessSpec
from training.data.augment.step import Step, interpolation_of, mean_colour
from training.spec import Spec

__all__ = ["Resize"]

Pixels = Annotated[int, Field(ge=8, le=4096)]
Size: TypeAlias = Callable[[int, int], tuple[int, int]]


class Resize(Spec):
    """Scaling without chance, with the network's interpolation, before a random crop or a rotation.

    Attributes:
        to: pixels; for `squash` also (height, width).
        mode: `shorter_side`; `longer_side`; `letterbox`: the longer side, and margins of the mean colour all around to
            make a square; `squash`: to this height and width whatever the shape.
    """

    kind: Literal["resize"] = "resize"
    to: Pixels | tuple[Pixels, Pixels]
    mode: Literal["shorter_side", "longer_side", "letterbox", "squash"] = "shorter_side"

    @model_validator(mode="after")
    def _a_pair_is_squashed_to(self) -> Self:
        if isinstance(self.to, tuple) and self.mode != "squash":
            raise ValueError(f"mode {self.mode} wants one number of pixels, not {self.to}")
        return self

    def build(self, canvas: PreprocessSpec) -> Step:
        high, wide = self._pair
        filtered = Image.Resampling[interpolation_of(canvas).name]
        if self.mode == "letterbox":
            colour = mean_colour(canvas)
            return lambda image: _framed(
                image.resize(_scaled(image.size, high / max(image.size)), filtered), high, colour
            )
        if self.mode == "squash":
            return lambda image: image.resize((wide, high), filtered)
        side = min if self.mode == "shorter_side" else max
        return lambda image: image.resize(_scaled(image.size, high / side(image.size)), filtered)

    def side_after(self, side: int | None, canvas: PreprocessSpec) -> int | None:  # noqa: ARG002
        high, wide = self._pair
        return high if high == wide and self.mode in ("letterbox", "squash") else None

    @property
    def _pair(self) -> tuple[int, int]:
        return self.to if isinstance(self.to, tuple) else (self.to, self.to)


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _framed(image: Image.Image, side: int, colour: tuple[int, int, int]) -> Image.Image:
    """In the middle of a square, as `embedding.preprocess` places it."""
    square = Image.new("RGB", (side, side), colour)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square
