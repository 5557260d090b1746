"""A region of a photo, given in pixels or as fractions of its sides."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

from embedding.image_errors import BoxOutsidePhoto, InvalidBox

__all__ = ["Box"]

_FORM = 'a box is "x0,y0,x1,y1" with x0 < x1 and y0 < y1, in pixels, or all four between 0 and 1 as fractions'


@dataclass(frozen=True)
class Box:
    """The rectangle from (x0, y0), included, to (x1, y1), excluded; y grows downwards.

    Coordinates are those of the photo as a person sees it: upright, at full size. When all four lie within
    0..1 they are fractions of width and height (so ``Box(0, 0, 1, 1)`` is the whole photo), otherwise
    pixels.

    Raises:
        InvalidBox: a coordinate is not finite, or the rectangle has no area.
    """

    x0: float
    y0: float
    x1: float
    y1: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in astuple(self)):
            raise InvalidBox(f"The box {self} has a coordinate that is no finite number; {_FORM}.", box=str(self))
        if not (self.x0 < self.x1 and self.y0 < self.y1):
            raise InvalidBox(f"The box {self} has no area; {_FORM}.", box=str(self))

    def __str__(self) -> str:
        return ",".join(f"{value:g}" for value in astuple(self))

    @classmethod
    def parse(cls, text: str) -> Box:
        """Read ``"x0,y0,x1,y1"``; spaces do not matter.

        Raises:
            InvalidBox: not four numbers, or not a rectangle.
        """
        shown = text if len(text) <= 80 else text[:80] + "..."
        try:
            x0, y0, x1, y1 = (float(part) for part in text.split(","))
        except ValueError:
            raise InvalidBox(f"The box {shown!r} is not four numbers; {_FORM}.", box=shown) from None
        return cls(x0, y0, x1, y1)

    @property
    def is_relative(self) -> bool:
        """True when the coordinates are fractions of the photo's sides."""
        return all(0.0 <= value <= 1.0 for value in astuple(self))

    def to_pixels(self, width: int, height: int) -> tuple[int, int, int, int]:
        """The rectangle in whole pixels of a ``width`` x ``height`` photo, at least one pixel each way.

        A box is never clipped in silence: half of it outside means that it was measured on another photo,
        or on one that was turned or scaled.

        Raises:
            BoxOutsidePhoto: some of it lies outside the photo.
        """
        across, down = (width, height) if self.is_relative else (1, 1)
        left, top = math.floor(self.x0 * across + 1e-6), math.floor(self.y0 * down + 1e-6)
        right, bottom = math.ceil(self.x1 * across - 1e-6), math.ceil(self.y1 * down - 1e-6)
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        if left < 0 or top < 0 or right > width or bottom > height:
            raise BoxOutsidePhoto(
                f"The box {self} reaches outside the photo, which is {width} x {height} pixels when upright; "
                "give a box within it.",
                box=str(self),
                width=width,
                height=height,
            )
        return left, top, right, bottom
