"""A photo through a network that finds and describes features at once: DISK, ALIKED, XFeat, HessAffNet."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from embedding.session import Session
from index.verification.colour import small_copy
from index.verification.features import LocalFeatures
from index.verification.learned.descriptors import to_bytes
from index.verification.learned.manifest import LearnedManifest

__all__ = ["extract_from_photo", "letterboxed"]

_DIAMETER = 16.0
"""Pixels that are noted as a feature's diameter: these graphs give none, and no geometry here asks for it."""


def extract_from_photo(image: Image.Image, session: Session, manifest: LearnedManifest) -> LocalFeatures:
    """The best features of an upright RGB photo, at most `manifest.most`."""
    pixels, (width, height) = letterboxed(image, manifest.size)
    feeds: dict[str, NDArray[Any]] = {"image": pixels, "extent": np.array([width, height], np.int64)}
    points, scores, descriptors = session.run(["points", "scores", "descriptors"], feeds)
    kept = np.flatnonzero(scores > manifest.threshold)[: manifest.most]
    # A keypoint at (0, 0) lies in the middle of the first pixel.
    fractions = (points[kept] + 0.5) / (width, height)
    return LocalFeatures(
        method=manifest.features_method,
        size=(width, height),
        points=fractions.clip(0, 1).astype(np.float32),
        scales=np.full(len(kept), _DIAMETER / max(width, height), np.float32),
        angles=np.zeros(len(kept), np.float32),
        descriptors=to_bytes(descriptors[kept], manifest.steps),
        copy=small_copy(image),
    )


def letterboxed(image: Image.Image, side: int) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """A photo in the upper left corner of a square, (1, 3, side, side), values 0 to 1, the rest its mean colour; and
    its width and height there."""
    ratio = side / max(image.size)
    width, height = max(1, round(image.width * ratio)), max(1, round(image.height * ratio))
    small = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)
    photo = np.asarray(small, np.float32) / 255
    square = np.empty((side, side, 3), np.float32)
    square[:] = photo.mean(axis=(0, 1), dtype=np.float64)
    square[:height, :width] = photo
    return np.ascontiguousarray(square.transpose(2, 0, 1)[None]), (width, height)
