"""What is done to a gallery's items and labels once they are there: look, relabel, rename, merge, delete."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from embedding.signatures import sniff
from service.audit.service import record
from service.database import Database
from service.errors import DuplicateItem, FieldInvalid, UnknownItem, UnknownLabel
from service.feedback.repository import LabelledQueryRepository
from service.gallery.item_repository import ItemFilter, ItemRepository, referenced
from service.gallery.pin_repository import PinRepository
from service.gallery.repository import GalleryRepository, existing
from service.gallery.words import external_id_of, label_of
from service.models import Gallery, ItemRow
from service.photos import PhotoStore

__all__ = ["GalleryService", "ItemChange", "Page", "Renamed", "Sizes"]


@dataclass(frozen=True, slots=True)
class Page:
    """Items in order; `after` continues behind the last one, None at the end; `total` counts all that match."""

    items: Sequence[ItemRow]
    after: int | None
    total: int


@dataclass(frozen=True, slots=True)
class ItemChange:
    """New values of an item; a name in `given` whose value is None empties the field."""

    given: frozenset[str]
    label: str | None = None
    external_id: str | None = None
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Renamed:
    """What a rename did: `items` carry the label now; it had `dropped` photos already; `merged` if it existed."""

    label: str
    items: int
    dropped: int
    merged: bool


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much a gallery holds; `without_features` of its items have none by the settings' verifier, and cannot be
    verified."""

    items: int
    labels: int
    distractors: int
    without_features: int


class GalleryService:
    """Thread-safe.

    Args:
        method: tells which method's local features can be compared; asked when it is needed, as networks may have to be
            read for it.
    """

    def __init__(self, database: Database, photos: PhotoStore, method: Callable[[], str]) -> None:
        self._database = database
        self._photos = photos
        self._method = method

    def page(self, gallery: str, wanted: ItemFilter, *, after: int = 0, limit: int = 100) -> Page:
        """Items and distractors, oldest first.

        Raises:
            UnknownGallery.
        """
        with self._database.read() as session:
            items = ItemRepository(session, existing(GalleryRepository(session), gallery))
            rows = items.page(wanted, after=after, limit=limit + 1)
            total = items.count(wanted)
        more = rows[limit - 1].number if len(rows) > limit else None
        return Page(rows[:limit], more, total)

    def item(self, gallery: str, id_: str) -> ItemRow:
        """One item.

        Raises:
            UnknownGallery, UnknownItem.
        """
        with self._database.read() as session:
            row = existing(GalleryRepository(session), gallery)
            return _found(ItemRepository(session, row), row, id_)

    def details(self, gallery: str, ids: Sequence[str]) -> Mapping[str, ItemRow]:
        """Those of a few items that are there still, by id."""
        with self._database.read() as session:
            return ItemRepository(session, existing(GalleryRepository(session), gallery)).by_ids(ids)

    def image(self, gallery: str, id_: str) -> tuple[bytes, str]:
        """The photo of an item, byte for byte as it came, and its media type.

        Raises:
            UnknownGallery, UnknownItem, PhotoLost.
        """
        photo = self._photos.read(self.item(gallery, id_).image_sha256)
        return photo, f"image/{sniff(photo).lower()}"

    def change(self, gallery: str, id_: str, change: ItemChange) -> ItemRow:
        """Relabel an item, or replace what is noted about it.

        Raises:
            UnknownGallery, UnknownItem, InvalidLabel, FieldInvalid; DuplicateItem: the photo has that label already.
        """
        with self._database.write() as session:
            galleries = GalleryRepository(session)
            row = _locked(galleries, gallery)
            items = ItemRepository(session, row)
            item = _found(items, row, id_)
            before = item.label
            if "label" in change.given:
                self._relabel(items, item, change.label)
            if "external_id" in change.given:
                item.external_id = None if change.external_id is None else external_id_of(change.external_id)
            if "metadata" in change.given:
                item.item_metadata = change.metadata or {}
            item.change = galleries.next_change(row, items="label" in change.given)
            relabelled = {} if item.label == before else {"from": before, "to": item.label}
            told = {"fields": sorted(change.given), "sha256": item.image_sha256, "label": relabelled}
            record(session, "item_changed", gallery=gallery, subject=id_, **told)
        return item

    def delete(self, gallery: str, id_: str) -> None:
        """Delete an item, and its photo's file when no other item of any gallery has it.

        Raises:
            UnknownGallery, UnknownItem.
        """
        with self._database.write() as session:
            galleries = GalleryRepository(session)
            row = _locked(galleries, gallery)
            items = ItemRepository(session, row)
            item = _found(items, row, id_)
            items.remove_one(item, galleries.next_change(row, items=True))
            told = {"kind": item.kind, "label": item.label or None, "sha256": item.image_sha256}
            record(session, "item_deleted", gallery=gallery, subject=id_, **told)
        self._discard([item.image_sha256])

    def labels(self, gallery: str) -> list[tuple[str, int]]:
        """Every label and its number of items, by name.

        Raises:
            UnknownGallery.
        """
        with self._database.read() as session:
            return ItemRepository(session, existing(GalleryRepository(session), gallery)).labels()

    def rename_label(self, gallery: str, label: str, new: str) -> Renamed:
        """Rename a label; onto one that exists, the two become one. Pins and feedback that name it name the new one.

        Raises:
            UnknownGallery, UnknownLabel, InvalidLabel.
        """
        label, new = label_of(label), label_of(new)
        with self._database.write() as session:
            galleries = GalleryRepository(session)
            row = _locked(galleries, gallery)
            items = ItemRepository(session, row)
            _require_label(items, row, label)
            if new == label:
                return Renamed(label, items.count(ItemFilter("item", label)), 0, merged=False)
            merged = items.count(ItemFilter("item", new)) > 0
            dropped = items.relabel(label, new, galleries.next_change(row, items=True))
            PinRepository(session, row).relabel(label, new)
            LabelledQueryRepository(session, row).relabel(label, new)
            done = Renamed(new, items.count(ItemFilter("item", new)), dropped, merged)
            told = {"to": new, "items": done.items, "dropped": dropped, "merged": merged}
            record(session, "label_renamed", gallery=gallery, subject=label, **told)
            return done

    def delete_label(self, gallery: str, label: str) -> int:
        """Delete all items of a label; returns how many.

        Raises:
            UnknownGallery, UnknownLabel, InvalidLabel.
        """
        wanted = ItemFilter("item", label_of(label))
        with self._database.write() as session:
            galleries = GalleryRepository(session)
            row = _locked(galleries, gallery)
            items = ItemRepository(session, row)
            _require_label(items, row, label_of(label))
            count, shas = items.remove(wanted, galleries.next_change(row, items=True))
            record(session, "label_deleted", gallery=gallery, subject=wanted.label, items=count)
        self._discard(shas)
        return count

    def sizes(self, gallery: str) -> Sizes:
        """How much a gallery holds.

        Raises:
            UnknownGallery.
        """
        with self._database.read() as session:
            items = ItemRepository(session, existing(GalleryRepository(session), gallery))
            return Sizes(
                items=items.count(ItemFilter("item")),
                labels=len(items.labels()),
                distractors=items.count(ItemFilter("distractor")),
                without_features=items.count_without_features(self._method()),
            )

    def discard_orphans(self) -> int:
        """Remove photo files that no item refers to (a crash may leave some); returns how many there were."""
        stored = list(self._photos.stored())
        orphans = sorted(set(stored) - self._referenced(stored))
        self._discard(orphans)
        return len(orphans)

    def _discard(self, shas: list[str]) -> None:
        self._photos.discard(shas, self._referenced)

    def _referenced(self, shas: list[str]) -> set[str]:
        with self._database.read() as session:
            return referenced(session, shas)

    @staticmethod
    def _relabel(items: ItemRepository, item: ItemRow, label: str | None) -> None:
        if item.kind != "item":
            raise FieldInvalid("a distractor has no label; delete it, and add the photo again with one", field="label")
        if label is None:
            raise FieldInvalid("an item's label cannot be null; delete the item instead", field="label")
        kept = label_of(label)
        twin = items.of_photo("item", kept, item.image_sha256)
        if twin is not None and twin.number != item.number:
            raise DuplicateItem(
                f"the gallery has this photo under {kept!r} already, as item {twin.id}; delete one of the two",
                field="label",
                existing=twin.id,
            )
        item.label = kept


def _locked(repository: GalleryRepository, name: str) -> Gallery:
    existing(repository, name)
    row = repository.locked(name)
    if row is None:
        raise AssertionError("a gallery that is there is not there")
    return row


def _found(items: ItemRepository, gallery: Gallery, id_: str) -> ItemRow:
    row = items.by_id(id_)
    if row is None:
        raise UnknownItem(
            f"gallery {gallery.name!r} has no item {id_[:64]!r}, or no longer", gallery=gallery.name, id=id_[:64]
        )
    return row


def _require_label(items: ItemRepository, gallery: Gallery, label: str) -> None:
    if items.count(ItemFilter("item", label)) == 0:
        raise UnknownLabel(
            f"gallery {gallery.name!r} has no label {label!r}; its labels can be listed",
            gallery=gallery.name,
            label=label,
        )
