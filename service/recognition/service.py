"""Decode, embed, search, decide: one photo's way to its verdict."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass

from embedding.images import Box
from service.gallery.galleries import Galleries
from service.gallery.replica import Answer
from service.photo_embedding import PhotoEmbedder

__all__ = ["MAX_TOP_K", "Recognition", "RecognitionService", "Timing"]

MAX_TOP_K = 100


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds of each stage."""

    decode: float
    embed: float
    search: float
    verify: float
    total: float


@dataclass(frozen=True, slots=True)
class Recognition:
    """An answered query.

    Attributes:
        id: of this recognition.
        model: the bundle's id.
    """

    id: str
    gallery: str
    model: str
    answer: Answer
    timing: Timing


class RecognitionService:
    """Thread-safe."""

    def __init__(self, galleries: Galleries, embedder: PhotoEmbedder) -> None:
        self._galleries = galleries
        self._embedder = embedder

    def recognize(self, gallery: str, photo: bytes, *, box: Box | None = None, top_k: int = 5) -> Recognition:
        """Which label of the gallery does the photo show, if any?

        Args:
            box: the region to look at.
            top_k: most candidates to report.

        Raises:
            UnknownGallery, InvalidGalleryName, ImageError, BoxError.
        """
        started = time.perf_counter()
        self._galleries.replica(gallery)  # an unknown gallery costs no decoding
        query = self._embedder.query(photo, box)
        searching = time.perf_counter()
        answer = self._galleries.recognize(gallery, query.embedding, top_k=top_k)
        done = time.perf_counter()
        timing = Timing(query.decode_ms, query.embed_ms, (done - searching) * 1000, 0.0, (done - started) * 1000)
        return Recognition(uuid.uuid4().hex, gallery, self._embedder.embedder.bundle.id, answer, timing)
