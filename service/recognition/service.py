"""Decode, embed, search, verify, decide: one photo's way to its verdict."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from embedding.images import Box
from index.filter import Filter
from index.search_inside import SEARCHES, Region, Search, answering_part, settled
from service.errors import FieldInvalid
from service.feedback.kept import KeptQueries
from service.gallery.galleries import Galleries
from service.gallery.replica import Answer
from service.photo_embedding import EmbeddedQuery, PhotoEmbedder

__all__ = ["MAX_TOP_K", "Recognition", "RecognitionService", "Timing", "search_of"]

MAX_TOP_K = 100


def search_of(text: str) -> Search:
    """The way to look at a photo that goes by this name.

    Raises:
        FieldInvalid: there is none; tells which there are.
    """
    for search in SEARCHES:
        if text.strip().lower() == search:
            return search
    raise FieldInvalid(f"`search` must be {' or '.join(SEARCHES)}; got {text[:40]!r}", field="search")


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds of each stage, over all that was asked about.

    `verify`, 0 where nothing was verified, counts from the extraction of local features on.
    """

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
        box: the part of the photo that answered; None for the whole of what was asked about.
    """

    id: str
    gallery: str
    model: str
    answer: Answer
    timing: Timing
    box: Region | None = None

    def to_json(self) -> dict[str, Any]:
        """The answer of `POST /recognize`; with a receipt where one was asked for."""
        answer = self.answer
        body = {
            "id": self.id,
            **answer.verdict.to_json(),
            "box": None if self.box is None else list(self.box),
            "gallery": self.gallery,
            "generation": answer.generation,
            "change": answer.change,
            "model": self.model,
            "timing_ms": {stage: round(milliseconds, 3) for stage, milliseconds in asdict(self.timing).items()},
        }
        if answer.receipt is not None:
            body["receipt"] = answer.receipt.model_dump(mode="json")
        return body


class RecognitionService:
    """Thread-safe."""

    def __init__(self, galleries: Galleries, embedder: PhotoEmbedder, kept: KeptQueries) -> None:
        self._galleries = galleries
        self._embedder = embedder
        self._kept = kept

    def recognize(
        self,
        gallery: str,
        photo: bytes,
        *,
        box: Box | None = None,
        top_k: int = 5,
        explain: bool = False,
        search: Search = "whole",
        wanted: Filter | None = None,
    ) -> Recognition:
        """Which label of the gallery does the photo show, if any?

        Args:
            box: the region to look at.
            top_k: most candidates to report.
            explain: with a receipt: of the part that answers, as if it alone had been asked about.
            search: `inside` asks about five parts as well (`index.search_inside`), unless the first answer is settled:
                six times the work. A change of the gallery meanwhile may be seen by the later ones alone.
            wanted: ask about this part of the gallery alone.

        Raises:
            UnknownGallery, InvalidGalleryName, UnknownLabel, ImageError, BoxError.
        """
        started = time.perf_counter()
        self._galleries.replica(gallery)  # an unknown gallery costs no decoding
        whole = self._asked(gallery, self._embedder.query(photo, box), top_k, explain=explain, wanted=wanted)
        alone = search == "whole" or settled(whole.answer.verdict)
        queries, regions = ([], ()) if alone else self._embedder.parts(photo, box)
        parts = [self._asked(gallery, query, top_k, explain=explain, wanted=wanted) for query in queries]
        found = answering_part(whole.answer.verdict, [part.answer.verdict for part in parts])
        if found is None:
            query, answer, region = whole.query, whole.answer, None
        else:
            at, verdict = found
            query, answer, region = parts[at].query, replace(parts[at].answer, verdict=verdict), regions[at]
        timing = _total([whole, *parts], (time.perf_counter() - started) * 1000)
        id_ = uuid.uuid4().hex
        self._kept.keep(id_, gallery, query)
        return Recognition(id_, gallery, self._embedder.embedder.bundle.id, answer, timing, region)

    def _asked(self, gallery: str, query: EmbeddedQuery, top_k: int, *, explain: bool, wanted: Filter | None) -> _Asked:
        searching = time.perf_counter()
        answer = self._galleries.recognize(gallery, query, top_k=top_k, explain=explain, wanted=wanted)
        done = time.perf_counter()
        verifying = done if query.local.began is None else query.local.began
        return _Asked(query, answer, (verifying - searching) * 1000, (done - verifying) * 1000)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One region's answer, and the milliseconds that it took."""

    query: EmbeddedQuery
    answer: Answer
    search_ms: float
    verify_ms: float


def _total(asked: Sequence[_Asked], total: float) -> Timing:
    return Timing(
        decode=sum(one.query.decode_ms for one in asked),
        embed=sum(one.query.embed_ms for one in asked),
        search=sum(one.search_ms for one in asked),
        verify=sum(one.verify_ms for one in asked),
        total=total,
    )
