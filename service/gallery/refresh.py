"""Local features for items that have none, or another verifier's: of before, or enrolled while verification was off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from embedding.images import ImageError
from service.audit.service import record
from service.database import Database
from service.errors import PhotoLost
from service.gallery.item_repository import ItemRepository
from service.gallery.repository import GalleryRepository, existing
from service.models import ItemRow
from service.photo_embedding import PhotoEmbedder
from service.photos import PhotoStore

__all__ = ["FeatureRefresh", "Refreshed"]

_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Refreshed:
    """How many items got local features, and the ids of those whose photo cannot be read any more."""

    items: int
    unreadable: list[str]


class FeatureRefresh:
    """Extracts them from the stored photos. Thread-safe.

    Args:
        embedder: extracts them.
        method: that its features carry.
    """

    def __init__(self, database: Database, photos: PhotoStore, embedder: PhotoEmbedder, method: str) -> None:
        self._database = database
        self._photos = photos
        self._embedder = embedder
        self._method = method

    def run(self, gallery: str, report: Callable[[int, int], None] | None = None) -> Refreshed:
        """Go through a gallery, a few items a transaction; interrupted, it goes on where it was.

        Args:
            report: told of (done, total).

        Raises:
            UnknownGallery, DatabaseUnavailable.
        """
        done, after, unreadable = 0, 0, list[str]()
        with self._database.read() as session:
            total = ItemRepository(session, existing(GalleryRepository(session), gallery)).count_without_features(
                self._method
            )
        while rows := self._some(gallery, after):
            after = rows[-1].number
            features = {row.number: self._features(row) for row in rows}
            unreadable += [row.id for row in rows if features[row.number] is None]
            done += self._keep(gallery, {number: data for number, data in features.items() if data is not None})
            if report is not None:
                report(done + len(unreadable), total)
        return Refreshed(done, unreadable)

    def _some(self, gallery: str, after: int) -> list[ItemRow]:
        with self._database.read() as session:
            items = ItemRepository(session, existing(GalleryRepository(session), gallery))
            return list(items.without_features(self._method, after=after, limit=_AT_ONCE))

    def _features(self, row: ItemRow) -> bytes | None:
        try:
            return self._embedder.features(self._photos.read(row.image_sha256))
        except (PhotoLost, ImageError):
            return None

    def _keep(self, gallery: str, features: dict[int, bytes]) -> int:
        if not features:
            return 0
        with self._database.write() as session:
            galleries = GalleryRepository(session)
            existing(galleries, gallery)
            row = galleries.locked(gallery)
            assert row is not None  # noqa: S101  for mypy: galleries are never deleted
            change = galleries.next_change(row, items=True)
            changed = ItemRepository(session, row).set_features(features, change)
            record(session, "features_refreshed", gallery=gallery, items=changed)
            return changed
