"""Queries that were answered, kept for a while so that their answers can be judged. Off unless the settings say so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from structlog.typing import FilteringBoundLogger

from service.background import BackgroundThread
from service.database import Database
from service.errors import UnknownRecognition
from service.feedback.repository import KeptQueryRepository
from service.gallery.repository import GalleryRepository, existing
from service.models import KeptQueryRow
from service.photo_embedding import EmbeddedQuery

__all__ = ["Forgetter", "KeptQueries"]

_TICK = 30.0


class KeptQueries:
    """Embeddings and local features of what was asked; never photos. Thread-safe.

    Args:
        bundle_sha256: the bundle that makes the embeddings.
        hours: that a query is kept; 0 keeps none.
    """

    def __init__(self, database: Database, bundle_sha256: str, hours: float) -> None:
        self._database = database
        self._bundle_sha256 = bundle_sha256
        self._hours = hours

    def keep(self, recognition: str, gallery: str, query: EmbeddedQuery) -> None:
        """Keep the query of a recognition, with its local features where the answer needed them."""
        if not self._hours:
            return
        local = b"" if query.local.began is None else query.local().to_bytes()
        with self._database.write() as session:
            row = existing(GalleryRepository(session), gallery)
            KeptQueryRepository(session).add(
                KeptQueryRow(
                    id=recognition,
                    gallery_id=row.id,
                    image_sha256=query.sha256,
                    box="" if query.box is None else str(query.box),
                    bundle_sha256=self._bundle_sha256,
                    embedding=query.embedding.astype("<f4").tobytes(),
                    local=local,
                )
            )

    def of(self, recognition: str, gallery: str) -> KeptQueryRow:
        """The query of a recognition.

        Raises:
            UnknownGallery.
            UnknownRecognition: none of this id was asked of this gallery, or it is not kept, or no longer.
        """
        with self._database.read() as session:
            row = existing(GalleryRepository(session), gallery)
            kept = KeptQueryRepository(session).of_recognition(
                row, recognition, bundle_sha256=self._bundle_sha256, since=self._begin()
            )
        if kept is None:
            why = (
                f"questions are kept for {self._hours:g} hours (WHICHONE_KEEP_QUERIES)"
                if self._hours
                else "this server keeps no questions (WHICHONE_KEEP_QUERIES)"
            )
            raise UnknownRecognition(
                f"gallery {gallery!r} has no recognition {recognition[:64]!r}, or no longer: {why}; send the "
                "photo itself",
                gallery=gallery,
                id=recognition[:64],
            )
        return kept

    def forget(self) -> int:
        """Delete what is kept for too long already; returns how many queries that were."""
        with self._database.write() as session:
            return KeptQueryRepository(session).forget(self._begin())

    def _begin(self) -> datetime:
        return datetime.now(UTC) - timedelta(hours=self._hours)


class Forgetter(BackgroundThread):
    """A thread that deletes kept queries in time; also those from before they were switched off."""

    def __init__(self, kept: KeptQueries, log: FilteringBoundLogger) -> None:
        super().__init__("forgetter", "forgetting queries", _TICK, log)
        self._kept = kept

    def look(self) -> None:
        """Delete what is due."""
        self._kept.forget()
