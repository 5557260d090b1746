"""From an RGB photo to a model's numbers: a spec that travels with the model, and its only implementation.

Training's evaluation, export and serving all call `preprocess`; nothing else resizes or normalises.
"""

from __future__ import annotations

from typing import Literal, Self

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


class PreprocessSpec(BaseModel):
    """How a model wants its photos.

    Attributes:
        mode: ``shorter_side_crop`` scales the shorter side to ``resize`` and keeps the central ``crop`` x
            ``crop``; ``squash`` scales to ``crop`` x ``crop`` whatever the shape; ``letterbox`` scales the
            longer side to ``crop`` and fills the rest with the mean colour. The last two want ``resize``
            equal to ``crop``.
        resize, crop: pixels.
        interpolation: all with antialiasing, as Pillow does it.
        mean, std: per channel, red first, of values in 0..1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mode: Literal["shorter_side_crop", "squash", "letterbox"]
    resize: int = Field(ge=8, le=4096)
    crop: int = Field(ge=8, le=4096)
    interpolation: Literal["bicubic", "bilinear", "lanczos"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @model_validator(mode="after")
    def _sizes_and_scales_fit(self) -> Self:
        if self.mode == "shorter_side_crop" and self.crop > self.resize:
            raise ValueError(f"crop {self.crop} is larger than resize {self.resize}")
        if self.mode != "shorter_side_crop" and self.crop != self.resize:
            raise ValueError(f"mode {self.mode} wants resize equal to crop, not {self.resize} and {self.crop}")
        if min(self.std) <= 0:
            raise ValueError(f"std must be positive, not {self.std}")
        return self

    @property
    def side_needed(self) -> int:
        """What a photo's shorter side must have, in pixels, for nothing to be scaled up."""
        return self.resize


def preprocess(image: Image.Image, spec: PreprocessSpec) -> NDArray[np.float32]:
    """One RGB photo as a model's input.

    Returns:
        (3, crop, crop) float32 in C order, ``(value / 255 - mean) / std``.

    Raises:
        ValueError: the image is not RGB (`embedding.images.decode` gives RGB).
    """
    if image.mode != "RGB":
        raise ValueError(f"preprocess takes an RGB image, not mode {image.mode}")
    resized = {"shorter_side_crop": _crop, "squash": _squash, "letterbox": _letterbox}[spec.mode](image, spec)
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


def _squash(image: Image.Image, spec: PreprocessSpec) -> Image.Image:
    return image.resize((spec.crop, spec.crop), _FILTERS[spec.interpolation])


def _letterbox(image: Image.Image, spec: PreprocessSpec) -> Image.Image:
    width, height = image.size
    scale = spec.crop / max(width, height)
    wide, high = max(1, round(width * scale)), max(1, round(height * scale))
    red, green, blue = (min(255, max(0, round(255 * value))) for value in spec.mean)
    canvas = Image.new("RGB", (spec.crop, spec.crop), (red, green, blue))
    resized = image.resize((wide, high), _FILTERS[spec.interpolation])
    canvas.paste(resized, ((spec.crop - wide) // 2, (spec.crop - high) // 2))
    return canvas
