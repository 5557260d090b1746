"""Decoded photos kept in memory, for small sets that are trained on for many epochs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.data.listing import TrainingPhoto
from training.data.reading import PhotosSpec, read_photo
from training.errors import RunFailed

__all__ = ["PhotoCache"]

AT_ONCE = 64


class PhotoCache:
    """The first photos of a list, as many as fit; the others are read anew every time.

    It is filled before worker processes start, which then share its memory. The first ones stay: where a set does not
    fit, an epoch passes every photo once, and to forget the oldest would forget each just before it is wanted.

    Args:
        photos: of the run, in its order.
        spec: how they are read; says how much memory there is.
    """

    def __init__(self, photos: Sequence[TrainingPhoto], spec: PhotosSpec) -> None:
        self._photos = photos
        self._spec = spec
        self._kept: dict[int, NDArray[np.uint8]] = {}
        self._filled = spec.cache_mb == 0
        self.bytes = 0

    def fill(self, progress: Callable[[str, int, int], None] | None = None) -> None:
        """Read photos until the memory is full, once. One that cannot be read is left to whoever asks for it."""
        if self._filled:
            return
        self._filled = True
        limit = self._spec.cache_mb * 2**20
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for start in range(0, len(self._photos), AT_ONCE):
                places = range(start, min(start + AT_ONCE, len(self._photos)))
                for place, pixels in zip(places, pool.map(self._pixels, places), strict=True):
                    if pixels is not None and self.bytes + pixels.nbytes > limit:
                        return
                    if pixels is not None:
                        self._kept[place] = pixels
                        self.bytes += pixels.nbytes
                if progress:
                    progress("reading photos", places.stop, len(self._photos))

    def __len__(self) -> int:
        return len(self._kept)

    def photo(self, place: int) -> Image.Image:
        """The photo at a place of the list.

        Raises:
            RunFailed: it cannot be read.
        """
        pixels = self._kept.get(place)
        return read_photo(self._photos[place], self._spec) if pixels is None else Image.fromarray(pixels)

    def _pixels(self, place: int) -> NDArray[np.uint8] | None:
        with suppress(RunFailed):
            return np.asarray(read_photo(self._photos[place], self._spec))
        return None
