"""Photos into a gallery: decode, embed, store the file, then one transaction for all of a request."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from sqlalchemy.orm import Session

from embedding.errors import WhichoneError
from index.generation import told_when_full
from index.simulation import MOST_VIEWED_ITEMS
from service.audit.service import Action, record
from service.database import Database
from service.gallery.item_repository import ItemRepository
from service.gallery.model import Model, check_bundle
from service.gallery.repository import GalleryRepository
from service.gallery.words import external_id_of, gallery_name, label_of
from service.models import Gallery, ItemRow
from service.photo_embedding import EmbeddedItem, PhotoEmbedder
from service.photos import PhotoStore, sha256_of

__all__ = ["Enrolled", "Enrolment", "Kind", "PhotoSource", "Prepared", "open_gallery"]

Kind = Literal["item", "distractor"]
_Place = tuple[Kind, str]


class PhotoSource(Protocol):
    """Where a photo's bytes come from; asked when needed, so that a request's photos are in memory one by one."""

    @property
    def name(self) -> str:
        """For messages: the field or file."""
        ...

    def read(self) -> bytes:
        """All of the bytes, also when asked again."""
        ...


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A photo that is in the gallery now; `duplicate` when photo and label were in it before."""

    id: str
    label: str | None
    sha256: str
    duplicate: bool


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a request asks for, checked."""

    gallery: str
    kind: Kind
    label: str
    external_id: str | None
    metadata: dict[str, Any]

    @property
    def place(self) -> _Place:
        """Where a photo is no second time."""
        return self.kind, self.label


class _Vanished(Exception):
    """A photo that the gallery had when the request was prepared is gone at its commit."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A photo on its way; `embedded` is None when the gallery seems to have it."""

    wanted: _Wanted
    source: PhotoSource
    sha256: str
    embedded: EmbeddedItem | None


Within = Callable[[Session, Sequence[Enrolled]], None]
"""Writes more in the transaction that adds photos, and knows what became of them."""


class Enrolment:
    """Adds items and distractors. Thread-safe.

    Args:
        side_by_side: photos of one request that are worked on at a time; bounds what it holds in memory.
    """

    def __init__(
        self,
        *,
        database: Database,
        photos: PhotoStore,
        embedder: PhotoEmbedder,
        model: Model,
        far_budget: float,
        side_by_side: int = 1,
    ) -> None:
        self._database = database
        self._photos = photos
        self._embedder = embedder
        self._model = model
        self._far_budget = far_budget
        self._side_by_side = side_by_side

    def enrol(
        self,
        gallery: str,
        label: str | None,
        sources: Sequence[PhotoSource],
        *,
        external_id: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> list[Enrolled]:
        """Add photos to a gallery, which comes into being with its first: all of them or, at any error, none.

        Once this returns, rows, embeddings and photos survive a power cut, and every process finds them.

        Args:
            label: None for distractors.
            metadata: a JSON object that `words.metadata_of` let pass.

        Raises:
            InvalidGalleryName, InvalidLabel, FieldInvalid, BundleMismatch, DatabaseUnavailable, DiskFull; ImageError,
            whose details name the photo's field and file.
        """
        wanted = _checked(gallery, label, external_id, metadata)
        try:
            return self._commit(gallery, self._prepare(wanted, sources, trust_known=True))
        except _Vanished:  # a photo that the gallery had was deleted while this request was on its way
            return self._commit(gallery, self._prepare(wanted, sources, trust_known=False))

    def prepare(
        self,
        gallery: str,
        label: str | None,
        source: PhotoSource,
        *,
        external_id: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> Prepared:
        """Decode and embed one photo of an import; nothing is written before it is given to `add`.

        Raises: see `enrol`.
        """
        wanted = _checked(gallery, label, external_id, metadata)
        [prepared] = self._prepare(wanted, [source], trust_known=True)
        return prepared

    def add(self, gallery: str, prepared: Sequence[Prepared], within: Within) -> list[Enrolled]:
        """Add prepared photos to their gallery in one transaction.

        Args:
            within: what else belongs into it; may be called twice, and raise, and then nothing is added.

        Raises: see `enrol`.
        """
        try:
            return self._commit(gallery, prepared, within)
        except _Vanished:
            anew = [self._prepare(photo.wanted, [photo.source], trust_known=False)[0] for photo in prepared]
            return self._commit(gallery, anew, within)

    def _commit(self, gallery: str, prepared: Sequence[Prepared], within: Within | None = None) -> list[Enrolled]:
        with told_when_full("a photo"), self._photos.adding():
            for photo in prepared:
                self._photos.put(photo.source.read())
            with self._database.write() as session:
                row = open_gallery(session, gallery, self._model, self._far_budget)
                writer = _Writer(session, row, prepared)
                enrolled = [writer.add(photo) for photo in prepared]
                _record(session, prepared, enrolled)
                if within is not None:
                    within(session, enrolled)
                return enrolled

    def _prepare(self, wanted: _Wanted, sources: Sequence[PhotoSource], *, trust_known: bool) -> list[Prepared]:
        shas = [sha256_of(source.read()) for source in sources]
        known, views = self._look_up(wanted, shas)

        def prepare(place: int, source: PhotoSource) -> Prepared:
            sha256 = shas[place]
            if trust_known and sha256 in known:
                return Prepared(wanted, source, sha256, None)
            data = source.read()
            seed = int(sha256[:8], 16) if place < views else None
            try:
                item = wanted.kind == "item"
                embedded = self._embedder.item(data, seed=seed) if item else self._embedder.distractor(data)
            except WhichoneError as error:
                _name_photo(error, source, place, len(sources))
                raise
            return Prepared(wanted, source, sha256, embedded)

        if len(sources) == 1:
            return [prepare(0, sources[0])]
        with ThreadPoolExecutor(min(self._side_by_side, len(sources)) or 1, thread_name_prefix="enrol") as threads:
            # At an error the first one's is told, and photos that were not begun are not.
            return list(threads.map(prepare, range(len(sources)), sources))

    def _look_up(self, wanted: _Wanted, shas: Sequence[str]) -> tuple[Collection[str], int]:
        """Those of photos that the gallery has, and how many further items are to have views."""
        with self._database.read() as session:
            repository = GalleryRepository(session)
            row = repository.by_name(wanted.gallery)
            if row is None:
                return (), MOST_VIEWED_ITEMS
            if row.bundle_sha256 != self._model.sha256 and not repository.is_empty(row):
                check_bundle(row, self._model)
            items = ItemRepository(session, row)
            known = items.of_photos(wanted.kind, wanted.label, shas)
            return known.keys(), MOST_VIEWED_ITEMS - items.count_with_views(MOST_VIEWED_ITEMS)


class _Writer:
    """The rows of one request, inside its transaction; a change number is taken only when something changes."""

    def __init__(self, session: Session, gallery: Gallery, photos: Sequence[Prepared]) -> None:
        self._galleries = GalleryRepository(session)
        self._items = ItemRepository(session, gallery)
        self._gallery = gallery
        self._change: int | None = None
        alike: dict[_Place, list[str]] = {}
        for photo in photos:
            alike.setdefault(photo.wanted.place, []).append(photo.sha256)
        self._there = {place: self._items.of_photos(*place, shas) for place, shas in alike.items()}

    def add(self, photo: Prepared) -> Enrolled:
        """Add a photo, or find it there."""
        there = self._there[photo.wanted.place]
        known = there.get(photo.sha256)
        if known is not None:
            return Enrolled(known.id, known.label or None, photo.sha256, duplicate=True)
        if photo.embedded is None:
            raise _Vanished
        row = there[photo.sha256] = self._row(photo.wanted, photo.sha256, photo.embedded)
        self._items.add(row)
        return Enrolled(row.id, row.label or None, photo.sha256, duplicate=False)

    def _row(self, wanted: _Wanted, sha256: str, embedded: EmbeddedItem) -> ItemRow:
        if self._change is None:
            self._change = self._galleries.next_change(self._gallery, items=True)
        return ItemRow(
            id=uuid.uuid4().hex,
            gallery_id=self._gallery.id,
            kind=wanted.kind,
            label=wanted.label,
            image_sha256=sha256,
            external_id=wanted.external_id,
            item_metadata=wanted.metadata,
            embedding=embedded.embedding.astype("<f4").tobytes(),
            views=embedded.views.astype("<f4").tobytes(),
            local=embedded.local,
            width=embedded.width,
            height=embedded.height,
            change=self._change,
        )


def _record(session: Session, prepared: Sequence[Prepared], enrolled: Sequence[Enrolled]) -> None:
    """Write down what was added, if anything was, an entry for each label."""
    for wanted in dict.fromkeys((photo.wanted.gallery, photo.wanted.kind, photo.wanted.label) for photo in prepared):
        gallery, kind, label = wanted
        same = [
            done
            for photo, done in zip(prepared, enrolled, strict=True)
            if (photo.wanted.kind, photo.wanted.label) == (kind, label)
        ]
        new = [done.sha256 for done in same if not done.duplicate]
        if new:
            action: Action = "items_added" if kind == "item" else "distractors_added"
            counts = {"items": len(new), "duplicates": len(same) - len(new)}
            record(session, action, gallery=gallery, subject=label or None, sha256=new, **counts)


def _checked(gallery: str, label: str | None, external_id: str | None, metadata: dict[str, Any] | None) -> _Wanted:
    gallery_name(gallery)
    kind: Kind = "distractor" if label is None else "item"
    kept_label = "" if label is None else label_of(label)
    kept_id = None if external_id is None else external_id_of(external_id)
    return _Wanted(gallery, kind, kept_label, kept_id, metadata or {})


def open_gallery(session: Session, name: str, model: Model, far_budget: float) -> Gallery:
    """The gallery for writing, made if it is not there; an empty one takes on the loaded bundle.

    Raises:
        BundleMismatch: it holds embeddings of another bundle.
    """
    repository = GalleryRepository(session)
    row = repository.locked(name)
    if row is None:
        repository.create(name, bundle_sha256=model.sha256, far_budget=far_budget)
        row = repository.locked(name)
    if row is None:
        raise AssertionError("a gallery that was just made is not there")
    if row.bundle_sha256 != model.sha256 and repository.is_empty(row) and not row.generation:
        row.bundle_sha256 = model.sha256
    check_bundle(row, model)
    return row


def _name_photo(error: WhichoneError, source: PhotoSource, place: int, count: int) -> None:
    """Say which of several photos an error is about."""
    error.details.setdefault("field", f"images[{place}]")
    error.details.setdefault("filename", source.name)
    if count > 1:
        error.message = f"Photo {place + 1} of {count} ({source.name}): {error.message} None of them was added."
