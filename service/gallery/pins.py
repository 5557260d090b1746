"""Pinned queries: photos that a gallery has to answer in a certain way before a generation of it is published.

A pin expects a label, which must then be the label of a `known` verdict; or none, and then the verdict must be anything
but `known`. What is kept is the photo: its embedding would be another with another bundle.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence

from pydantic import BaseModel, ConfigDict

from embedding.errors import WhichoneError
from index.recognizer import Recognizer
from index.verdict import Verdict
from service.audit.service import record
from service.database import Database
from service.errors import DuplicateItem, PinsBroken, TooManyPins, UnknownPin
from service.gallery.item_repository import referenced
from service.gallery.pin_repository import PinRepository
from service.gallery.repository import GalleryRepository, existing
from service.gallery.words import label_of
from service.models import PinRow
from service.photo_embedding import EmbeddedQuery, PhotoEmbedder
from service.photos import PhotoStore

__all__ = ["MAX_PINS", "Ask", "PinAnswer", "Pins"]

MAX_PINS = 1000
"""Each of them costs an embedding, and perhaps a verification, whenever a generation is published."""

_NAMED = 20
"""Broken pins that a message names; its details have all."""

Ask = Callable[[EmbeddedQuery], Verdict]


class PinAnswer(BaseModel):
    """What a pin expects, and what came.

    Attributes:
        id: the pin's.
        expected: the label that the photo must be known as; None where it must not be known.
        verdict, label, confidence: what came; None where the photo could not be asked about.
        passes: whether that is as expected.
        problem: code of the error, where the photo could not be asked about.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    expected: str | None
    verdict: str | None
    label: str | None
    confidence: float | None
    passes: bool
    problem: str | None = None

    @property
    def sentence(self) -> str:
        """Expected and got, in words."""
        wanted = "not to be known" if self.expected is None else f"to be known as {self.expected!r}"
        if self.problem is not None:
            return f"pin {self.id} is {wanted}, and its photo cannot be asked about ({self.problem})"
        label = "" if self.label is None else f" {self.label!r}"
        return f"pin {self.id} is {wanted}, and is {self.verdict}{label} (confidence {self.confidence:.3f})"


class Pins:
    """The pins of every gallery. Thread-safe.

    Args:
        embedder: gives what embeds their photos; asked when it is needed, as the model may have to be loaded for it.
    """

    def __init__(self, database: Database, photos: PhotoStore, embedder: Callable[[], PhotoEmbedder]) -> None:
        self._database = database
        self._photos = photos
        self._embedder = embedder

    def add(self, gallery: str, photo: bytes, label: str | None) -> PinRow:
        """Pin a photo; one that is pinned with this expectation is as it was.

        Args:
            photo: the file's bytes, kept as they are.
            label: that it must be known as, whether the gallery has it yet or not; None: not to be known.

        Raises:
            UnknownGallery, InvalidLabel, TooManyPins.
            ImageError: the photo cannot be used.
            DuplicateItem: the photo is pinned with another expectation.
        """
        kept = None if label is None else label_of(label)
        self._embedder().query(photo)  # raises for what is no photo
        with self._photos.adding():
            sha256 = self._photos.put(photo)
            with self._database.write() as session:
                galleries = GalleryRepository(session)
                existing(galleries, gallery)
                row = galleries.locked(gallery)  # the count must hold until the commit
                assert row is not None  # noqa: S101  for mypy: galleries are never deleted
                pins = PinRepository(session, row)
                known = pins.of_photo(sha256)
                if known is not None:
                    return _same(known, kept)
                if pins.count() >= MAX_PINS:
                    raise TooManyPins(
                        f"gallery {gallery!r} has {MAX_PINS} pins, as many as it may; remove one first",
                        gallery=gallery,
                        limit=MAX_PINS,
                    )
                pin = PinRow(id=uuid.uuid4().hex, gallery_id=row.id, image_sha256=sha256, label=kept)
                pins.add(pin)
                record(session, "pin_added", gallery=gallery, subject=pin.id, label=kept, sha256=sha256)
                return pin

    def all(self, gallery: str) -> Sequence[PinRow]:
        """The pins of a gallery, oldest first.

        Raises:
            UnknownGallery.
        """
        with self._database.read() as session:
            return PinRepository(session, existing(GalleryRepository(session), gallery)).all()

    def remove(self, gallery: str, id_: str) -> None:
        """Remove a pin, and its photo where nothing else refers to it.

        Raises:
            UnknownGallery, UnknownPin.
        """
        with self._database.write() as session:
            sha256 = PinRepository(session, existing(GalleryRepository(session), gallery)).remove(id_)
            if sha256 is not None:
                record(session, "pin_removed", gallery=gallery, subject=id_, sha256=sha256)
        if sha256 is None:
            raise UnknownPin(f"gallery {gallery!r} has no pin {id_[:64]!r}, or no longer", gallery=gallery, id=id_[:64])
        self._photos.discard([sha256], self._referenced)

    def answers(self, pins: Sequence[PinRow], ask: Ask) -> list[PinAnswer]:
        """Ask about every pinned photo, and compare."""
        return [self._answer(pin, ask) for pin in pins]

    def broken_by(self, recognizer: Recognizer, gallery: str, *, force: bool) -> list[PinAnswer]:
        """The pins of a gallery that a recogniser, not served yet, answers otherwise than they expect.

        Raises:
            PinsBroken: there are some, and `force` does not say to go on.
        """
        pins = self.all(gallery)
        broken = [answer for answer in self.answers(pins, _asking(recognizer)) if not answer.passes]
        if broken and not force:
            listed = "; ".join(answer.sentence for answer in broken[:_NAMED]) + ("; ..." if broken[_NAMED:] else "")
            raise PinsBroken(
                f"the new generation of gallery {gallery!r} breaks {len(broken)} of {len(pins)} pin(s): {listed}. It "
                "was not published, and what is served stays as it was; mend the gallery, remove the pins, or force it",
                gallery=gallery,
                broken=[answer.model_dump() for answer in broken],
            )
        return broken

    def _answer(self, pin: PinRow, ask: Ask) -> PinAnswer:
        try:
            verdict = ask(self._embedder().query(self._photos.read(pin.image_sha256)))
        except WhichoneError as error:  # a photo that is lost, or over a limit that was lowered, proves nothing
            return PinAnswer(
                id=pin.id,
                expected=pin.label,
                verdict=None,
                label=None,
                confidence=None,
                passes=False,
                problem=error.code,
            )
        known = verdict.verdict == "known"
        return PinAnswer(
            id=pin.id,
            expected=pin.label,
            verdict=verdict.verdict,
            label=verdict.label,
            confidence=verdict.confidence,
            passes=not known if pin.label is None else known and verdict.label == pin.label,
        )

    def _referenced(self, shas: Sequence[str]) -> set[str]:
        with self._database.read() as session:
            return referenced(session, shas)


def _asking(recognizer: Recognizer) -> Ask:
    """Ask a recogniser that is not being served."""

    def ask(query: EmbeddedQuery) -> Verdict:
        return recognizer.trace(query.embedding, local=query.local, defect=query.defect).verdict

    return ask


def _same(known: PinRow, label: str | None) -> PinRow:
    if known.label != label:
        expected = "not to be known" if known.label is None else f"to be known as {known.label!r}"
        raise DuplicateItem(
            f"this photo is pinned {expected} already, as pin {known.id}; remove that pin first",
            field="label",
            existing=known.id,
        )
    return known
