"""Patches around SIFT's keypoints through a network that describes them: HardNet.

Mishchuk et al., Working hard to know your neighbor's margins, NeurIPS 2017.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from embedding.session import Session
from index.verification.colour import small_copy
from index.verification.features import LocalFeatures
from index.verification.learned.descriptors import to_bytes
from index.verification.learned.manifest import LearnedManifest
from index.verification.rootsift import brightness, strongest

__all__ = ["SIDE", "extract_from_patches", "patches_around"]

SIDE = 32
"""Pixels of a patch's side."""

_REACH = 6.0
"""A patch's side in diameters of its keypoint: what SIFT describes, and what HardNet was trained on."""


def extract_from_patches(image: Image.Image, session: Session, manifest: LearnedManifest) -> LocalFeatures:
    """At most `manifest.most` features of an upright RGB photo, the strongest of SIFT's keypoints."""
    grey = brightness(image, manifest.size)
    height, width = grey.shape
    rows = strongest(cv2.SIFT.create(nfeatures=manifest.most).detect(grey, None), manifest.most)
    descriptors = np.empty((0, manifest.descriptor_length), np.float32)
    if len(rows):
        [descriptors] = session.run(["descriptors"], {"patches": patches_around(grey, rows)})
    x, y, diameters, degrees = rows[:, :4].T
    points = np.stack([(x + 0.5) / width, (y + 0.5) / height], axis=1)
    return LocalFeatures(
        method=manifest.features_method,
        size=(width, height),
        points=points.clip(0, 1).astype(np.float32),
        scales=(diameters / max(width, height)).astype(np.float32),
        angles=(degrees / 360 % 1).astype(np.float32),
        descriptors=to_bytes(descriptors, manifest.steps),
        copy=small_copy(image),
    )


def patches_around(grey: NDArray[np.uint8], rows: NDArray[np.float64]) -> NDArray[np.float32]:
    """Patches (n, 1, 32, 32), values 0 to 255, each turned and scaled as its keypoint says.

    Args:
        rows: (n, 4 or more): x, y, diameter in pixels, direction in degrees.
    """
    # A large keypoint's patch is taken from a smaller copy, so that no pixel is skipped over.
    pyramid = [grey]
    while min(pyramid[-1].shape) >= 2 * SIDE:
        pyramid.append(np.asarray(cv2.pyrDown(pyramid[-1]), np.uint8))
    patches = np.empty((len(rows), 1, SIDE, SIDE), np.float32)
    for patch, (x, y, diameter, degrees) in zip(patches[:, 0], rows[:, :4].tolist(), strict=True):
        step = _REACH * diameter / SIDE
        level = int(np.clip(np.log2(max(step, 1.0)), 0, len(pyramid) - 1))
        radians, scale = np.deg2rad(degrees), step / 2**level
        turn = scale * np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
        start = np.array([x, y]) / 2**level - turn @ np.full(2, (SIDE - 1) / 2)
        placed = np.column_stack([turn, start])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        patch[:] = cv2.warpAffine(pyramid[level], placed, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return patches
