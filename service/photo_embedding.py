"""Photo bytes to vectors and local features, within the server's limits: for questions, for items, for distractors."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from embedding.containers import pixels_of
from embedding.embedder import Embedder
from embedding.image_errors import UnusablePhoto
from embedding.images import Box, ImageLimits
from embedding.orientation import exif_orientation
from embedding.quality import Defect, defect_of
from embedding.rephotograph import rephotograph
from embedding.signatures import sniff
from index.search_inside import Region, parts_of
from index.simulation import VIEWS
from index.verification import LocalFeatures, Verifier
from service.observability.observer import SILENT, Observer
from service.observability.tracing import span
from service.photos import sha256_of
from service.turns import Turns

__all__ = ["EmbeddedItem", "EmbeddedQuery", "FeaturesOnDemand", "PhotoEmbedder"]


class FeaturesOnDemand:
    """A query's local features, extracted when they are first asked for: most answers can do without.

    Attributes:
        began: when that was, by `time.perf_counter`; None before.
    """

    def __init__(self, image: Image.Image, verifier: Verifier) -> None:
        self._image = image
        self._verifier = verifier
        self._features: LocalFeatures | None = None
        self.began: float | None = None

    def __call__(self) -> LocalFeatures:
        if self._features is None:
            self.began = time.perf_counter()
            with span("extract"):
                self._features = self._verifier.extract(self._image)
        return self._features


@dataclass(frozen=True, slots=True)
class EmbeddedQuery:
    """A photo that is asked about, ready for any gallery.

    Attributes:
        photo: the file's bytes.
        box: the region that is looked at.
        embedding: (d,).
        local: local features.
        defect: what makes the photo unusable.
        decode_ms, embed_ms: milliseconds that decoding and embedding took.
    """

    photo: bytes
    box: Box | None
    embedding: NDArray[np.float32]
    local: FeaturesOnDemand
    defect: Defect | None
    decode_ms: float
    embed_ms: float

    @property
    def sha256(self) -> str:
        """Of the file."""
        return sha256_of(self.photo)


@dataclass(frozen=True, slots=True)
class EmbeddedItem:
    """A gallery photo's (d,) embedding, (v, d) views, encoded local features, and its size upright."""

    embedding: NDArray[np.float32]
    views: NDArray[np.float32]
    local: bytes
    width: int
    height: int


class PhotoEmbedder:
    """Decodes, embeds, extracts. Thread-safe.

    What is done for a gallery takes a turn for each step; whoever asks about a query has taken one already.

    Args:
        verifier: extracts local features.
        turns: whose turn it is to compute.
        keep_features: whether items get theirs; queries do whenever a gallery asks for them.

    Attributes:
        observer: is told of batches and of waiting; may be replaced.
    """

    def __init__(
        self,
        embedder: Embedder,
        limits: ImageLimits,
        *,
        verifier: Verifier,
        turns: Turns,
        keep_features: bool = True,
    ) -> None:
        self.embedder = embedder
        self.limits = limits
        self._verifier = verifier
        self._turns = turns
        self._keep_features = keep_features
        self.observer: Observer = SILENT

    def query(self, data: bytes, box: Box | None = None) -> EmbeddedQuery:
        """Embed a photo that is asked about.

        Raises:
            ImageError, BoxError: the photo or the box cannot be used.
        """
        [query] = self._queries(data, [box])
        return query

    def parts(self, data: bytes, box: Box | None = None) -> tuple[list[EmbeddedQuery], tuple[Region, ...]]:
        """Embed parts of a photo, or of a box of it: each exactly as if it were asked about as a box.

        Returns:
            the parts' queries, and where each lies; none where the parts would be too small.

        Raises:
            ImageError, BoxError: the photo or the box cannot be used.
        """
        size = _size_in_header(data) or self.embedder.decode(data, limits=self.limits).size
        region = (0, 0, *size) if box is None else box.to_pixels(*size)
        # A box of a single pixel would read as a fraction.
        regions = parts_of(region, least_side=max(self.limits.min_side, 2))
        return self._queries(data, [Box(*part) for part in regions]), regions

    def _queries(self, data: bytes, boxes: Sequence[Box | None]) -> list[EmbeddedQuery]:
        """Embed regions of a photo, side by side; each is told an equal part of the time that all took."""
        started = time.perf_counter()
        with span("decode", images=len(boxes)):
            images = [self.embedder.decode(data, limits=self.limits, box=box) for box in boxes]
            defects = [defect_of(image) for image in images]
        decoded = time.perf_counter()
        embeddings = self._embed(images)
        embedded = time.perf_counter()
        return [
            EmbeddedQuery(
                photo=data,
                box=box,
                embedding=embedding,
                local=FeaturesOnDemand(image, self._verifier),
                defect=defect,
                decode_ms=(decoded - started) * 1000 / len(boxes),
                embed_ms=(embedded - decoded) * 1000 / len(boxes),
            )
            for box, image, embedding, defect in zip(boxes, images, embeddings, defects, strict=True)
        ]

    def item(self, data: bytes, *, seed: int | None = None) -> EmbeddedItem:
        """Embed a photo for a gallery.

        Args:
            seed: of the simulated re-photographs; None makes none.

        Raises:
            ImageError: the photo cannot be used. UnusablePhoto: it is blank or tiny, and would only mislead; one that
                is blurred may be the only one there is.
        """
        with self._turn():
            image = self.embedder.decode(data, limits=self.limits)
            defect = defect_of(image)
        if defect is not None and defect.kind != "blurred":
            raise UnusablePhoto(defect.sentence, defect=defect.kind)
        with self._turn():
            [embedding] = self._embed([image])
        views = np.empty((0 if seed is None else VIEWS, len(embedding)), np.float32)
        for view in range(len(views)):
            with self._turn():
                [views[view]] = self._embed([rephotograph(image, seed=(seed or 0) + view)])
        local = b""
        if self._keep_features:
            with self._turn():
                local = self._verifier.extract(image).to_bytes()
        return EmbeddedItem(embedding, views, local, *_full_size(data, image))

    def distractor(self, data: bytes) -> EmbeddedItem:
        """Embed a photo that shows nothing of a gallery; it is never verified, and may be blank.

        Raises:
            ImageError: the photo cannot be used.
        """
        with self._turn():
            image = self.embedder.decode(data, limits=self.limits)
            [embedding] = self._embed([image])
        return EmbeddedItem(embedding, np.empty((0, len(embedding)), np.float32), b"", *_full_size(data, image))

    def features(self, data: bytes) -> bytes:
        """The encoded local features of a gallery photo, as `item` gives them.

        Raises:
            ImageError: the photo cannot be used.
        """
        with self._turn():
            return self._verifier.extract(self.embedder.decode(data, limits=self.limits)).to_bytes()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        asked = time.perf_counter()
        with self._turns.taken("enrol"):
            self.observer.queued("enrol", time.perf_counter() - asked)
            yield

    def _embed(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """Images (n) through the model at once: (n, d)."""
        began = time.perf_counter()
        with span("embed", images=len(images)):
            embeddings = np.asarray(self.embedder.embed(images), np.float32)
        self.observer.embedded(len(images), time.perf_counter() - began)
        return embeddings


def _full_size(data: bytes, decoded: Image.Image) -> tuple[int, int]:
    """Width and height of the upright photo."""
    return _size_in_header(data) or decoded.size


def _size_in_header(data: bytes) -> tuple[int, int] | None:
    """Width and height of an upright JPEG, the only kind that may be decoded smaller than it is; None for others."""
    if sniff(data) != "JPEG":
        return None
    pixels = pixels_of("JPEG", data)
    if pixels.size is None:
        return None
    width, height = pixels.size
    turned = exif_orientation(pixels.exif or b"") >= 5
    return (height, width) if turned else (width, height)
