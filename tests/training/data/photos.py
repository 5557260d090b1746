"""Lists of photos that need no files, and pictures by arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from embedding.preprocess import PreprocessSpec
from training.data.listing import TrainingPhoto

CANVAS = PreprocessSpec(
    mode="shorter_side_crop",
    resize=36,
    crop=32,
    interpolation="bicubic",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)


def listed(counts: Mapping[str, int]) -> list[TrainingPhoto]:
    """So many photos of each label, without files; labels in turn, so that they are not in runs."""
    pairs = [(number, label) for label, count in counts.items() for number in range(count)]
    return [
        TrainingPhoto(Path(f"{label}/{number}.png"), f"{label}/{number}.png", label) for number, label in sorted(pairs)
    ]


def picture(seed: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A random RGB picture: large soft patches, small hard ones on them."""
    random = np.random.default_rng(seed)
    soft = Image.fromarray(random.integers(40, 216, (6, 8, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    hard = Image.fromarray(random.integers(0, 256, (30, 40, 3), np.uint8)).resize(size, Image.Resampling.NEAREST)
    return Image.blend(soft, hard, 0.25)


def saved(folder: Path, counts: Mapping[str, int], size: tuple[int, int] = (64, 48)) -> list[TrainingPhoto]:
    """The same as `listed`, with a PNG each, all different."""
    photos = []
    for seed, photo in enumerate(listed(counts)):
        path = folder / photo.name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(seed, size).save(path)
        photos.append(TrainingPhoto(path, photo.name, photo.label, where=f"line {seed + 2}"))
    return photos
