"""A photo made by arithmetic, a small preprocessing for it, and the types of the fixtures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from embedding.bundle import Bundle

Save = Callable[..., bytes]
MakeBundle = Callable[..., Bundle]

SPEC = {
    "mode": "shorter_side_crop",
    "resize": 36,
    "crop": 32,
    "interpolation": "bicubic",
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
}


def scene(width: int = 96, height: int = 64, seed: int = 0) -> Image.Image:
    """Smooth colours, different in every corner: turned or mirrored, it is another picture."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * (x * (1 + seed) + y * y))
    values = np.stack([x, y * (1 - x), 0.3 + 0.5 * wave * x * y], axis=-1)
    return Image.fromarray((values * 255).astype(np.uint8))
