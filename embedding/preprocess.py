"""From an RGB photo to a model's numbers: a spec that travels with the model, and its only implementation.

Training's evaluation, export and serving all call `preprocess`; nothing else resizes or normalises.
"""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["PreprocessSpec", "preprocess"]

_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

_CUTTING = ("shorter_side_crop", "squash_crop")


class PreprocessSpec(BaseModel):
    """How a model wants its photos.

    Attributes:
        mode: ``shorter_side_crop`` scales the shorter side to ``resize`` and keeps the central ``crop`` x
            ``crop``; ``squash_crop`` scales to ``resize`` x ``resize`` whatever the shape and keeps the same;
            ``squash`` scales to ``crop`` x ``crop`` whatever the shape; ``letterbox`` scales until nothing stands
            out of ``crop`` x ``crop`` and fills the rest with the mean colour. The last two want ``resize`` equal to
            ``crop``.
        resize, crop: pixels.
        interpolation: all with antialiasing, as Pillow does it.
        mean, std: per channel, red first, of values in 0..1.
        width: of the input in pixels, where it is no square; ``crop`` is its height then. For ``squash`` and
            ``letterbox``.
        grey: brightness alone (ITU-R 601), the same in all three channels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mode: Literal["shorter_side_crop", "squash_crop", "squash", "letterbox"]
    resize: int = Field(ge=8, le=4096)
    crop: int = Field(ge=8, le=4096)
    interpolation: Literal["bicubic", "bilinear", "lanczos"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    width: int | None = Field(default=None, ge=8, le=4096)
    grey: bool = False

    @model_validator(mode="after")
    def _sizes_and_scales_fit(self) -> Self:
        if self.mode in _CUTTING and self.crop > self.resize:
            raise ValueError(f"crop {self.crop} is larger than resize {self.resize}")
        if self.mode not in _CUTTING and self.crop != self.resize:
            raise ValueError(f"mode {self.mode} wants resize equal to crop, not {self.resize} and {self.crop}")
        if self.mode in _CUTTING and self.width is not None:
            raise ValueError(f"mode {self.mode} cuts out a square, so it takes no width; squash and letterbox do")
        if min(self.std) <= 0:
            raise ValueError(f"std must be positive, not {self.std}")
        return self

    def as_json(self) -> dict[str, Any]:
        """For a manifest: `width` and `grey` only where they are set, so that bundles without them keep their bytes."""
        unset = {"width": None, "grey": False}
        fields = self.model_dump(mode="json")
        return {name: value for name, value in fields.items() if name not in unset or value != unset[name]}

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the input, in pixels."""
        return self.crop, self.crop if self.width is None else self.width

    @property
    def side_needed(self) -> int:
        """What a photo's shorter side must have, in pixels, for nothing to be scaled up."""
        return max(self.resize, *self.size)


def preprocess(image: Image.Image, spec: PreprocessSpec) -> NDArray[np.float32]:
    """One RGB photo as a model's input.

    Returns:
        (3, crop, crop), or (3, crop, width), float32 in C order, ``(value / 255 - mean) / std``.

    Raises:
        ValueError: the image is not RGB (`embedding.images.decode` gives RGB).
    """
    if image.mode != "RGB":
        raise ValueError(f"preprocess takes an RGB image, not mode {image.mode}")
    seen = image.convert("L").convert("RGB") if spec.grey else image
    resized = _MODES[spec.mode](seen, spec)
    values = np.asarray(resized, dtype=np.float32) / np.float32(255)
    normal = (values - np.asarray(spec.mean, np.float32)) / np.asarray(spec.std, np.float32)
    return np.ascontiguousarray(normal.transpose(2, 0, 1))


def _crop(image: Image.Image, spec: PreprocessSpec) -> Image.Image:
    """Scale and cut in one step: as if all were scaled and then cut, at a bounded cost for any shape."""
    width, height = image.size
    scale = spec.resize / min(width, height)
    wide, high = max(spec.resize, round(width * scale)), max(spec.resize, round(height * scale))
    left, top = (wide - spec.crop) // 2, (high - spec.crop) // 2
    across, down = width / wide, height / high
    region = (
        left * across,
        top * down,
        min((left + spec.crop) * across, width),
        min((top + spec.crop) * down, height),
    )
    return image.resize((spec.crop, spec.crop), _FILTERS[spec.interpolation], box=region)


def _squash_crop(image: Image.Image, spec: PreprocessSpec) -> Image.Image:
    """Like `_crop` in one step; a part of `resize` is the same part of the photo, along both axes."""
    start = (spec.resize - spec.crop) // 2
    across, down = image.width / spec.resize, image.height / spec.resize
    end = start + spec.crop
    region = (start * across, start * down, min(end * across, image.width), min(end * down, image.height))
    return image.resize((spec.crop, spec.crop), _FILTERS[spec.interpolation], box=region)


def _squash(image: Image.Image, spec: PreprocessSpec) -> Image.Image:
    return image.resize(spec.size[::-1], _FILTERS[spec.interpolation])


def _letterbox(image: Image.Image, spec: PreprocessSpec) -> Image.Image:
    width, height = image.size
    rows, columns = spec.size
    scale = min(columns / width, rows / height)
    wide, high = max(1, round(width * scale)), max(1, round(height * scale))
    red, green, blue = (min(255, max(0, round(255 * value))) for value in spec.mean)
    canvas = Image.new("RGB", (columns, rows), (red, green, blue))
    resized = image.resize((wide, high), _FILTERS[spec.interpolation])
    canvas.paste(resized, ((columns - wide) // 2, (rows - high) // 2))
    return canvas


_MODES = {"shorter_side_crop": _crop, "squash_crop": _squash_crop, "squash": _squash, "letterbox": _letterbox}
