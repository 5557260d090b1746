"""RootSIFT: SIFT descriptors compared by the Hellinger kernel.

Lowe, Distinctive image features from scale-invariant keypoints, IJCV 2004; Arandjelovic and Zisserman, Three things
everyone should know to improve object retrieval, CVPR 2012, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from index.verification.colour import small_copy
from index.verification.features import LocalFeatures, most_features

__all__ = ["DESCRIPTOR_LENGTH", "METHOD", "brightness", "extract_rootsift", "strongest", "to_rootsift"]

METHOD = "rootsift"
DESCRIPTOR_LENGTH = 128

_LONGER_SIDE = 320  # pixels; SIFT itself begins at twice that. More costs time and finds no more of the right photos
_STEPS = 512.0
"""A RootSIFT value v in 0..1 is kept as min(255, round(512 v)): few of 128 values of unit length lie above 1/2."""


def extract_rootsift(image: Image.Image) -> LocalFeatures:
    """At most `most_features(128)` features of a photo, none for one without texture.

    Args:
        image: RGB, upright.

    Returns:
        The same for the same pixels, whatever the number of threads.
    """
    grey = brightness(image, _LONGER_SIDE)
    height, width = grey.shape
    most = most_features(DESCRIPTOR_LENGTH)
    keypoints, found = cv2.SIFT.create(nfeatures=most).detectAndCompute(grey, np.empty(0, np.uint8))
    descriptors = np.empty((0, DESCRIPTOR_LENGTH), np.float32) if found is None else np.asarray(found, np.float32)
    rows = _rows(keypoints)
    best = _strongest_first(rows)[:most]
    x, y, diameters, degrees, _ = rows[best].T
    # A keypoint at (0, 0) lies in the middle of the first pixel.
    points = np.stack([(x + 0.5) / width, (y + 0.5) / height], axis=1)
    return LocalFeatures(
        method=METHOD,
        size=(width, height),
        points=points.clip(0, 1).astype(np.float32),
        scales=(diameters / max(width, height)).astype(np.float32),
        angles=(degrees / 360 % 1).astype(np.float32),
        descriptors=to_rootsift(descriptors[best]),
        copy=small_copy(image),
    )


def to_rootsift(sift: NDArray[np.float32]) -> NDArray[np.uint8]:
    """SIFT descriptors (n, 128), none negative, as RootSIFT (n, 128): the root of each after division by their sum,
    which has length 1, in steps of 1/512."""
    sums = sift.sum(axis=1, keepdims=True)
    roots = np.sqrt(sift / np.maximum(sums, np.finfo(np.float32).tiny))
    steps: NDArray[np.uint8] = np.rint(roots * _STEPS).clip(0, 255).astype(np.uint8)
    return steps


def strongest(keypoints: Sequence[cv2.KeyPoint], most: int) -> NDArray[np.float64]:
    """At most so many keypoints, (n, 5): x, y, diameter in pixels, direction in degrees, response; strongest first."""
    rows = _rows(keypoints)
    return rows[_strongest_first(rows)[:most]]


def brightness(image: Image.Image, longer_side: int) -> NDArray[np.uint8]:
    """Brightness (height, width) of a photo at a longer side of so many pixels."""
    ratio = longer_side / max(image.size)
    size = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
    small = image.convert("L").resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    grey: NDArray[np.uint8] = np.asarray(small, np.uint8)
    return grey


def _rows(keypoints: Sequence[cv2.KeyPoint]) -> NDArray[np.float64]:
    return np.array([(*key.pt, key.size, key.angle, key.response) for key in keypoints], np.float64).reshape(-1, 5)


def _strongest_first(rows: NDArray[np.float64]) -> NDArray[np.intp]:
    """OpenCV may return more keypoints than were asked for, and says nothing about their order."""
    return np.lexsort((rows[:, 3], rows[:, 2], rows[:, 1], rows[:, 0], -rows[:, 4]))
