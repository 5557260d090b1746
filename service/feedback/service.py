"""What people say about answers: the right label of a photo that was asked about, or that the gallery has none for it.

A gallery that has enough of such queries calibrates itself on them, and not on its own photos (`index.labelled`).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from embedding.images import Box
from index.labelled import FEWEST_KNOWN
from service.audit.service import record
from service.database import Database
from service.errors import UnknownFeedback
from service.feedback.kept import KeptQueries
from service.feedback.repository import LabelledQueryRepository
from service.gallery.item_repository import ItemFilter, ItemRepository
from service.gallery.model import Model, check_bundle
from service.gallery.repository import GalleryRepository, existing
from service.gallery.words import label_of
from service.models import LabelledQueryRow
from service.photo_embedding import PhotoEmbedder

__all__ = ["MOST", "Feedback", "Judged", "Said"]

MOST = 1000
"""Labelled queries of a gallery that are kept; older ones go. More would take longer to ask about and say the same."""


@dataclass(frozen=True, slots=True)
class Said:
    """A labelled query as it stands now.

    Attributes:
        known: whether the gallery has its label.
        enrolled: the gallery has this very photo, so that nothing can be learned from it.
        duplicate: it had been said before, in the same words.
        replaced: another label had been said before; this one counts.
    """

    row: LabelledQueryRow
    known: bool
    enrolled: bool = False
    duplicate: bool = False
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """The labelled queries of a gallery, newest first, and what they come to: those of enrolled photos do not count.

    Attributes:
        known: how many show something that the gallery has.
        unknown: how many are strangers to it.
        needed: so many known ones are needed for the gallery to be calibrated on them.
    """

    said: Sequence[Said]
    needed: int = FEWEST_KNOWN

    @property
    def known(self) -> int:
        return sum(one.known and not one.enrolled for one in self.said)

    @property
    def unknown(self) -> int:
        return sum(not one.known and not one.enrolled for one in self.said)


class Feedback:
    """The labelled queries of every gallery. Thread-safe.

    Args:
        kept: queries that were answered.
        verifies: whether local features are worth extracting.
    """

    def __init__(
        self,
        database: Database,
        model: Model,
        embedder: Callable[[], PhotoEmbedder],
        kept: KeptQueries,
        *,
        verifies: bool,
    ) -> None:
        self._database = database
        self._model = model
        self._embedder = embedder
        self._kept = kept
        self._verifies = verifies

    def about_photo(self, gallery: str, photo: bytes, label: str | None, *, box: Box | None = None) -> Said:
        """Say what a photo shows. It is looked at as if it were asked about, and not kept.

        Args:
            label: whether the gallery has it or not; None for something without a name that the gallery has not.
            box: the part of the photo that is meant.

        Raises:
            UnknownGallery, InvalidLabel, BundleMismatch; ImageError, BoxError: the photo or the box cannot be used.
        """
        shown = None if label is None else label_of(label)
        with self._database.read() as session:
            existing(GalleryRepository(session), gallery)  # an unknown gallery costs no decoding
        query = self._embedder().query(photo, box)
        return self._say(
            gallery,
            LabelledQueryRow(
                image_sha256=query.sha256,
                box="" if box is None else str(box),
                label=shown,
                bundle_sha256=self._model.sha256,
                embedding=np.asarray(query.embedding, "<f4").tobytes(),
                local=query.local().to_bytes() if self._verifies else b"",
            ),
        )

    def about_recognition(self, gallery: str, recognition: str, label: str | None) -> Said:
        """Say what was asked about.

        Args:
            recognition: its id.
            label: see `about_photo`.

        Raises:
            UnknownGallery, InvalidLabel, BundleMismatch.
            UnknownRecognition: none of this id was asked of this gallery, or it is not kept, or no longer.
        """
        shown = None if label is None else label_of(label)
        kept = self._kept.of(recognition, gallery)
        return self._say(
            gallery,
            LabelledQueryRow(
                image_sha256=kept.image_sha256,
                box=kept.box,
                label=shown,
                bundle_sha256=kept.bundle_sha256,
                embedding=kept.embedding,
                local=kept.local,
            ),
        )

    def all(self, gallery: str) -> Judged:
        """The labelled queries of a gallery.

        Raises:
            UnknownGallery.
        """
        with self._database.read() as session:
            row = existing(GalleryRepository(session), gallery)
            items = ItemRepository(session, row)
            queries = LabelledQueryRepository(session, row).all()
            held = {label for label, _ in items.labels()}
            enrolled = items.enrolled([query.image_sha256 for query in queries if not query.box])
        return Judged([_said(query, held, enrolled) for query in queries])

    def remove(self, gallery: str, id_: str) -> None:
        """Take a word back.

        Raises:
            UnknownGallery, UnknownFeedback.
        """
        with self._database.write() as session:
            galleries = GalleryRepository(session)
            existing(galleries, gallery)
            row = galleries.locked(gallery)
            assert row is not None  # noqa: S101  for mypy: galleries are never deleted
            query = LabelledQueryRepository(session, row).remove(id_)
            if query is None:
                raise UnknownFeedback(
                    f"gallery {gallery!r} has no feedback {id_[:64]!r}, or no longer", gallery=gallery, id=id_[:64]
                )
            galleries.next_change(row, items=True)
            record(session, "feedback_removed", gallery=gallery, subject=id_, sha256=query.image_sha256)

    def _say(self, gallery: str, query: LabelledQueryRow) -> Said:
        with self._database.write() as session:
            galleries = GalleryRepository(session)
            existing(galleries, gallery)
            row = galleries.locked(gallery)
            assert row is not None  # noqa: S101  for mypy: galleries are never deleted
            check_bundle(row, self._model)
            queries = LabelledQueryRepository(session, row)
            items = ItemRepository(session, row)
            known = query.label is not None and items.count(ItemFilter("item", query.label)) > 0
            enrolled = not query.box and bool(items.enrolled([query.image_sha256]))
            before = queries.of_query(query.image_sha256, query.box)
            if before is not None and before.label == query.label and before.bundle_sha256 == query.bundle_sha256:
                return Said(before, known, enrolled, duplicate=True)
            if before is not None:
                queries.remove(before.id)
            query.id, query.gallery_id = uuid.uuid4().hex, row.id
            queries.add(query)
            queries.keep_newest(MOST)
            galleries.next_change(row, items=True)
            record(
                session,
                "feedback_given",
                gallery=gallery,
                subject=query.id,
                label=query.label,
                sha256=query.image_sha256,
            )
        return Said(query, known, enrolled, replaced=before is not None)


def _said(query: LabelledQueryRow, held: Collection[str], enrolled: Collection[str]) -> Said:
    """A labelled query of a gallery that holds these labels and photos."""
    return Said(query, query.label in held, not query.box and query.image_sha256 in enrolled)
