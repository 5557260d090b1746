"""Any Pillow mode to plain 8-bit RGB, the way a viewer on a white page would show it.

Colour profiles are not applied: neither is it done in training, and the difference is small beside that of
two cameras.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from embedding.image_errors import UnsupportedFormat

__all__ = ["to_rgb"]

_STRIP_PIXELS = 1 << 20
_BITS_PER_SAMPLE = 258  # TIFF tag


def to_rgb(image: Image.Image) -> Image.Image:
    """A loaded picture as RGB, 8 bits a channel.

    16-bit grey is scaled by its full range (12-bit TIFF by its own), never clipped. Float and 32-bit grey
    is scaled by the narrowest of 1, 255 and 65535 that holds its brightest pixel. Transparency is laid on
    white. Adobe's inverted CMYK has been set right by the decoder.

    Raises:
        UnsupportedFormat: float or 32-bit grey outside 0..65535: no photo, and no scale is known for it.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16"):
        return _grey(image, white=4095.0 if _bits(image) == 12 else 65535.0)
    if image.mode in ("I", "F"):
        return _grey(image, white=_white_of(image))
    if image.has_transparency_data:
        return _on_white(image if image.mode == "RGBA" else image.convert("RGBA"))
    return image.convert("RGB")


def _bits(image: Image.Image) -> int:
    tags = getattr(image, "tag_v2", None) or {}
    return int(tags.get(_BITS_PER_SAMPLE, (16,))[0])


def _white_of(image: Image.Image) -> float:
    """The value that means white. The extremes alone would do, were it not for NaN, which they hide."""
    darkest, brightest = np.inf, -np.inf
    for _, strip in _strips(image):
        darkest, brightest = np.minimum(darkest, strip.min()), np.maximum(brightest, strip.max())  # NaN stays
    if darkest >= 0:
        for white in (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0):
            if brightest <= white:
                return white
    raise UnsupportedFormat(
        f"The picture's values go from {darkest:g} to {brightest:g} ({image.mode}), "
        "which is no photo's range; save it as an 8-bit or 16-bit picture.",
        mode=image.mode,
    )


def _strips(image: Image.Image) -> Iterator[tuple[int, NDArray[Any]]]:
    """(first row, (rows, width) array), a few rows at a time: a wide type never holds the whole photo."""
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        yield top, np.asarray(image.crop((0, top, image.width, bottom)))


def _grey(image: Image.Image, white: float) -> Image.Image:
    grey = Image.new("L", image.size)
    for top, strip in _strips(image):
        scaled = np.rint(strip.astype(np.float64) * (255.0 / white)).clip(0, 255).astype(np.uint8)
        grey.paste(Image.fromarray(scaled), (0, top))
    return grey.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    page = Image.new("RGB", image.size, "white")
    page.paste(image, mask=image.getchannel("A"))
    return page
