"""All SQL about items and distractors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, LargeBinary, delete, func, insert, literal, or_, select, update
from sqlalchemy.orm import Session, aliased

from index.verification.features import beginning
from service.models import HAS_VIEWS, Gallery, ItemRow, PinRow, Removal

__all__ = ["ItemFilter", "ItemRepository"]

_IDS_AT_ONCE = 500  # well under the parameters that any SQLite takes


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Which items of a gallery; None does not ask."""

    kind: str | None = None
    label: str | None = None
    external_id: str | None = None

    def conditions(self, gallery: Gallery) -> list[ColumnElement[bool]]:
        """As SQL."""
        wanted = [ItemRow.gallery_id == gallery.id]
        if self.kind is not None:
            wanted.append(ItemRow.kind == self.kind)
        if self.label is not None:
            wanted.append(ItemRow.label == self.label)
        if self.external_id is not None:
            wanted.append(ItemRow.external_id == self.external_id)
        return wanted


class ItemRepository:
    """Items of one gallery inside one transaction."""

    def __init__(self, session: Session, gallery: Gallery) -> None:
        self._session = session
        self._gallery = gallery

    def page(self, wanted: ItemFilter, *, after: int, limit: int) -> Sequence[ItemRow]:
        """Up to `limit` items, in order of number, from the one after `after` on."""
        statement = (
            select(ItemRow)
            .where(*wanted.conditions(self._gallery), ItemRow.number > after)
            .order_by(ItemRow.number)
            .limit(limit)
        )
        return self._session.scalars(statement).all()

    def count(self, wanted: ItemFilter) -> int:
        """How many there are."""
        statement = select(func.count()).select_from(ItemRow).where(*wanted.conditions(self._gallery))
        return self._session.execute(statement).scalar_one()

    def by_id(self, id_: str) -> ItemRow | None:
        """The item of this id, in this gallery."""
        return self._session.scalar(select(ItemRow).where(ItemRow.id == id_, ItemRow.gallery_id == self._gallery.id))

    def by_ids(self, ids: Sequence[str]) -> dict[str, ItemRow]:
        """The items of these ids that are there; a few at most."""
        rows = self._session.scalars(select(ItemRow).where(ItemRow.id.in_(ids)))
        return {row.id: row for row in rows}

    def of_photo(self, kind: str, label: str, sha256: str) -> ItemRow | None:
        """The item of this photo and label."""
        return self.of_photos(kind, label, [sha256]).get(sha256)

    def of_photos(self, kind: str, label: str, shas: Sequence[str]) -> dict[str, ItemRow]:
        """The items of this label that show one of these photos, a few at most, by the photo's sha256."""
        statement = select(ItemRow).where(
            *ItemFilter(kind, label).conditions(self._gallery), ItemRow.image_sha256.in_(shas)
        )
        return {row.image_sha256: row for row in self._session.scalars(statement)}

    def enrolled(self, shas: Sequence[str]) -> set[str]:
        """Those of these photos, some at a time, that are items of the gallery."""
        found: set[str] = set()
        for start in range(0, len(shas), _IDS_AT_ONCE):
            part = shas[start : start + _IDS_AT_ONCE]
            statement = select(ItemRow.image_sha256).where(
                *ItemFilter("item").conditions(self._gallery), ItemRow.image_sha256.in_(part)
            )
            found.update(self._session.scalars(statement))
        return found

    def names(self) -> list[tuple[int, str, str]]:
        """Number, kind and label of every item and distractor."""
        statement = select(ItemRow.number, ItemRow.kind, ItemRow.label).where(ItemRow.gallery_id == self._gallery.id)
        return [(number, kind, label) for number, kind, label in self._session.execute(statement)]

    def count_with_views(self, up_to: int) -> int:
        """How many items carry views; counting stops at `up_to`."""
        some = select(ItemRow.number).where(ItemRow.gallery_id == self._gallery.id, HAS_VIEWS).limit(up_to).subquery()
        return self._session.execute(select(func.count()).select_from(some)).scalar_one()

    def count_without_features(self, method: str) -> int:
        """How many items have no local features by this method."""
        statement = select(func.count()).select_from(ItemRow).where(*self._without_features(method))
        return self._session.execute(statement).scalar_one()

    def without_features(self, method: str, *, after: int, limit: int) -> Sequence[ItemRow]:
        """Items that have no local features by this method, in order of number, from the one after `after` on."""
        statement = (
            select(ItemRow)
            .where(*self._without_features(method), ItemRow.number > after)
            .order_by(ItemRow.number)
            .limit(limit)
        )
        return self._session.scalars(statement).all()

    def set_features(self, features: Mapping[int, bytes], change: int) -> int:
        """Give items, by number, their local features; returns how many of them are there still."""
        changed = 0
        for number, local in features.items():
            statement = (
                update(ItemRow)
                .where(ItemRow.number == number, ItemRow.gallery_id == self._gallery.id)
                .values(local=local, change=change)
                .returning(ItemRow.number)
                .execution_options(synchronize_session=False)
            )
            changed += len(self._session.execute(statement).all())
        return changed

    def _without_features(self, method: str) -> list[ColumnElement[bool]]:
        begin = beginning(method)
        others = func.substr(ItemRow.local, 1, len(begin), type_=LargeBinary) != begin
        return [*ItemFilter("item").conditions(self._gallery), or_(func.length(ItemRow.local) == 0, others)]

    def add(self, row: ItemRow) -> None:
        """Store a new item, at the latest as the transaction commits."""
        self._session.add(row)

    def labels(self) -> list[tuple[str, int]]:
        """Every label and how many items it has, by name."""
        statement = (
            select(ItemRow.label, func.count())
            .where(*ItemFilter("item").conditions(self._gallery))
            .group_by(ItemRow.label)
            .order_by(ItemRow.label)
        )
        return [(label, count) for label, count in self._session.execute(statement)]

    def relabel(self, old: str, new: str, change: int) -> int:
        """Give all items of a label another; photos that the other has already are dropped. Returns how many were."""
        twin = aliased(ItemRow)
        doubled = (
            *ItemFilter("item", old).conditions(self._gallery),
            select(twin.number)
            .where(
                twin.gallery_id == self._gallery.id,
                twin.kind == "item",
                twin.label == new,
                twin.image_sha256 == ItemRow.image_sha256,
            )
            .exists(),
        )
        dropped = self._remove(doubled, change)
        self._session.execute(
            update(ItemRow)
            .where(*ItemFilter("item", old).conditions(self._gallery))
            .values(label=new, change=change)
            .execution_options(synchronize_session=False)
        )
        return dropped

    def remove(self, wanted: ItemFilter, change: int) -> tuple[int, list[str]]:
        """Remove items. Returns how many, and the sha256 of their photos."""
        conditions = tuple(wanted.conditions(self._gallery))
        shas = self._session.scalars(select(ItemRow.image_sha256).where(*conditions).distinct()).all()
        return self._remove(conditions, change), list(shas)

    def remove_one(self, row: ItemRow, change: int) -> None:
        """Remove one item."""
        self._remove((ItemRow.number == row.number,), change)

    def _remove(self, conditions: tuple[ColumnElement[bool], ...], change: int) -> int:
        gone = select(ItemRow.gallery_id, literal(change), ItemRow.number).where(*conditions)
        self._session.execute(insert(Removal).from_select(["gallery_id", "change", "number"], gone))
        numbers = select(Removal.number).where(Removal.gallery_id == self._gallery.id, Removal.change == change)
        statement = (
            delete(ItemRow)
            .where(ItemRow.number.in_(numbers))
            .returning(ItemRow.number)
            .execution_options(synchronize_session=False)
        )
        return len(self._session.execute(statement).all())


def referenced(session: Session, shas: Sequence[str]) -> set[str]:
    """Those of `shas` that an item or a pin of any gallery refers to."""
    found: set[str] = set()
    for start in range(0, len(shas), _IDS_AT_ONCE):
        part = shas[start : start + _IDS_AT_ONCE]
        for column in (ItemRow.image_sha256, PinRow.image_sha256):
            found.update(session.scalars(select(column).where(column.in_(part))))
    return found
