"""Descriptors of unit length as bytes and back: distances stay, but for rounding, what they were."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["from_bytes", "to_bytes"]

_MIDDLE = 128


def to_bytes(descriptors: NDArray[np.float32], steps: float) -> NDArray[np.uint8]:
    """Unit vectors (n, d) in steps of 1 / `steps`, zero at 128; what lies beyond 1 to 255 is cut off there."""
    numbers: NDArray[np.uint8] = (np.rint(descriptors * steps) + _MIDDLE).clip(1, 255).astype(np.uint8)
    return numbers


def from_bytes(numbers: NDArray[np.uint8], steps: float) -> NDArray[np.float32]:
    """Unit vectors (n, d) again, but for rounding."""
    vectors = (numbers.astype(np.float32) - _MIDDLE) / np.float32(steps)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)
