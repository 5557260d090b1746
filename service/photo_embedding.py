"""Photo bytes to vectors, within the server's limits: for questions, and for items with what calibration needs."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from embedding.containers import pixels_of
from embedding.embedder import Embedder
from embedding.images import Box, ImageLimits
from embedding.orientation import exif_orientation
from embedding.rephotograph import rephotograph
from embedding.signatures import sniff
from index.simulation import VIEWS

__all__ = ["EmbeddedItem", "EmbeddedQuery", "PhotoEmbedder"]


@dataclass(frozen=True, slots=True)
class EmbeddedQuery:
    """A query's (d,) embedding, and the milliseconds that decoding and embedding took."""

    embedding: NDArray[np.float32]
    decode_ms: float
    embed_ms: float


@dataclass(frozen=True, slots=True)
class EmbeddedItem:
    """A gallery photo's (d,) embedding, (v, d) views, and its size upright."""

    embedding: NDArray[np.float32]
    views: NDArray[np.float32]
    width: int
    height: int


class PhotoEmbedder:
    """Decodes and embeds. Thread-safe."""

    def __init__(self, embedder: Embedder, limits: ImageLimits) -> None:
        self.embedder = embedder
        self.limits = limits

    def query(self, data: bytes, box: Box | None = None) -> EmbeddedQuery:
        """Embed a photo that is asked about.

        Raises:
            ImageError, BoxError: the photo or the box cannot be used.
        """
        started = time.perf_counter()
        image = self.embedder.decode(data, limits=self.limits, box=box)
        decoded = time.perf_counter()
        [embedding] = self.embedder.embed([image])
        embedded = time.perf_counter()
        return EmbeddedQuery(embedding, (decoded - started) * 1000, (embedded - decoded) * 1000)

    def item(self, data: bytes, *, seed: int | None = None) -> EmbeddedItem:
        """Embed a photo for a gallery.

        Args:
            seed: of the simulated re-photographs; None makes none.

        Raises:
            ImageError: the photo cannot be used.
        """
        image = self.embedder.decode(data, limits=self.limits)
        again = [] if seed is None else [rephotograph(image, seed=seed + view) for view in range(VIEWS)]
        vectors = self.embedder.embed([image, *again])
        width, height = _full_size(data, image)
        return EmbeddedItem(vectors[0], vectors[1:], width, height)


def _full_size(data: bytes, decoded: Image.Image) -> tuple[int, int]:
    """Width and height of the upright photo; only a JPEG may have been decoded smaller than it is."""
    if sniff(data) != "JPEG":
        return decoded.size
    pixels = pixels_of("JPEG", data)
    if pixels.size is None:
        return decoded.size
    width, height = pixels.size
    turned = exif_orientation(pixels.exif or b"") >= 5
    return (height, width) if turned else (width, height)
