"""Photos that show too little to be recognised: blank, tiny, or blurred beyond use. Pure arithmetic on the pixels.

The limits are set so that a person would agree at a glance; whatever might still be recognised passes. Of 5,724
photographs and drawings of shop shelves and characters (105 pixels and more) none came nearer to a limit than a factor
of 5; blurred by a Gaussian of 4 % of their longer side, all are beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["Defect", "DefectKind", "defect_of", "detail_of"]

DefectKind: TypeAlias = Literal["blank", "tiny", "blurred"]

_LEAST_SIDE = 32
"""Pixels of the shorter side."""

_BLANK_SIDE = 64
_LEAST_SPREAD = 2.0
"""Standard deviation of the most varied colour channel, of 255, at `_BLANK_SIDE` pixels: there a sensor's noise has
averaged out."""

_BLUR_SIDE = 96
_LEAST_DETAIL = 0.01
"""Variance of the Laplacian as a share of the variance of the brightness, at `_BLUR_SIDE` pixels."""


@dataclass(frozen=True, slots=True)
class Defect:
    """What makes a photo unusable.

    Attributes:
        kind: blank (almost one colour), tiny, or blurred.
        sentence: what is wrong and what would do.
    """

    kind: DefectKind
    sentence: str


def defect_of(image: Image.Image) -> Defect | None:
    """What makes an RGB photo unusable; None where nothing does. The same pixels give the same answer everywhere."""
    if min(image.size) < _LEAST_SIDE:
        return Defect(
            "tiny",
            f"The photo is unusable: {image.width} x {image.height} pixels show too little. "
            f"Send it with at least {_LEAST_SIDE} pixels a side, better some hundreds.",
        )
    grey = _brightness(image)
    # Brightness is a weighted mean of the channels, so none of them being varied, it is not either: only where it
    # varies little must the channels be looked at. Twice the limit, as it is looked at a little more closely.
    if grey.std() < 2 * _LEAST_SPREAD and _spread(image) < _LEAST_SPREAD:
        return Defect(
            "blank",
            "The photo is unusable: it is almost all one colour. Send one that shows the thing, in enough light and "
            "with nothing before the lens.",
        )
    if _detail(grey) < _LEAST_DETAIL:
        return Defect(
            "blurred",
            "The photo is unusable: it is blurred so much that no detail is left. Hold the camera still, let it focus "
            "on the thing, and take it again.",
        )
    return None


def _spread(image: Image.Image) -> float:
    """How much the most varied channel varies, in standard deviations of 0..255."""
    pixels = np.asarray(_within(image, _BLANK_SIDE), np.float64).reshape(-1, 3)
    return float(pixels.std(axis=0).max())


def detail_of(image: Image.Image) -> float:
    """How much of the brightness's variation is fine: the variance of its Laplacian as a share of its own.

    Source: Pech-Pacheco and others, Diatom autofocusing in brightfield microscopy (ICPR 2000); here relative to the
    contrast and at a fixed size, so that neither a pale photo nor a large one counts as blurred.
    """
    return _detail(_brightness(image))


def _brightness(image: Image.Image) -> NDArray[np.float64]:
    """Grey levels at `_BLUR_SIDE` pixels, 0..255."""
    # Real numbers before the resize: rounded to whole levels, a smooth picture would seem to have detail.
    return np.asarray(_within(image.convert("L").convert("F"), _BLUR_SIDE), np.float64)


def _detail(grey: NDArray[np.float64]) -> float:
    inner = grey[1:-1, 1:-1]
    laplacian = 4 * inner - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    return float(laplacian.var() / max(grey.var(), 1.0)) if laplacian.size else 1.0


def _within(image: Image.Image, side: int) -> Image.Image:
    """Scaled down until the longer side has at most `side` pixels, by averaging."""
    ratio = side / max(image.size)
    if ratio >= 1:
        return image
    size = (max(3, round(image.width * ratio)), max(3, round(image.height * ratio)))
    return image.resize(size, Image.Resampling.BOX)
