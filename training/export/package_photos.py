"""Real photos that packages ship: the only ones that every machine with this project has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import skimage
import sklearn
from PIL import Image

from embedding.images import decode

__all__ = ["PACKAGE_PHOTOS", "load_package_photos"]

_SKIMAGE = Path(skimage.__file__).parent / "data"
_SKLEARN = Path(sklearn.__file__).parent / "datasets" / "images"

PACKAGE_PHOTOS: tuple[Path, ...] = (
    *(
        _SKIMAGE / name
        for name in (
            "astronaut.png",
            "brick.png",
            "camera.png",
            "cell.png",
            "chelsea.png",
            "clock_motion.png",
            "coffee.png",
            "coins.png",
            "grass.png",
            "gravel.png",
            "hubble_deep_field.jpg",
            "ihc.png",
            "moon.png",
            "motorcycle_left.png",
            "page.png",
            "retina.jpg",
            "rocket.jpg",
            "text.png",
        )
    ),
    _SKLEARN / "china.jpg",
    _SKLEARN / "flower.jpg",
)
"""No two show the same thing."""


def load_package_photos(paths: Sequence[Path] = PACKAGE_PHOTOS) -> list[Image.Image]:
    """The photos as upright RGB, in the order of `paths`."""
    return [decode(path.read_bytes()) for path in paths]
