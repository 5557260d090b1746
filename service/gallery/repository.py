"""All SQL about galleries, their changes and their calibrations (items: `item_repository`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, String, and_, bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, undefer
from sqlalchemy.orm.attributes import set_committed_value

from index.tuning import Tuning
from service.errors import UnknownGallery
from service.gallery.words import gallery_name
from service.models import CalibrationRow, Gallery, ItemRow, Removal

__all__ = ["GalleryRepository", "Staleness", "change_of", "existing"]

_CHANGE = select(Gallery.change).where(Gallery.name == bindparam("name", type_=String))
"""Made once: it is asked for with every question, and to make it takes as long as to ask."""

_ROWS_AT_ONCE = 512
"""With local features a row has up to 70 kB."""

_CALIBRATIONS_KEPT = 5
"""Only the newest is used; a few before it tell how a gallery came to its threshold."""


def change_of(connection: Connection, name: str) -> int | None:
    """The gallery's change number: what every question asks for, and all that it asks."""
    change: int | None = connection.execute(_CHANGE, {"name": name}).scalar()
    return change


@dataclass(frozen=True, slots=True)
class Staleness:
    """A gallery whose newest calibration (its `basis`, 0 for none) is older than its last item change."""

    name: str
    items_change: int
    basis: int


class GalleryRepository:
    """Galleries inside one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def all(self) -> Sequence[Gallery]:
        """Every gallery, by name."""
        return self._session.scalars(select(Gallery).order_by(Gallery.name)).all()

    def by_name(self, name: str) -> Gallery | None:
        """The gallery of this name."""
        return self._session.scalar(select(Gallery).where(Gallery.name == name))

    def locked(self, name: str) -> Gallery | None:
        """The gallery, kept from changing in other transactions until this one ends."""
        return self._session.scalar(select(Gallery).where(Gallery.name == name).with_for_update())

    def create(self, name: str, *, bundle_sha256: str, far_budget: float) -> None:
        """Make a gallery, unless somebody made it meanwhile."""
        values = {
            "name": name,
            "bundle_sha256": bundle_sha256,
            "far_budget": far_budget,
        }
        insert = sqlite.insert if self._session.get_bind().dialect.name == "sqlite" else postgresql.insert
        self._session.execute(insert(Gallery).values(values).on_conflict_do_nothing(index_elements=["name"]))

    def next_change(self, gallery: Gallery, *, items: bool) -> int:
        """Raise and return the gallery's change number; `items` when something changes that it learns from: an item, a
        distractor or a labelled query."""
        values: dict[str, Any] = {"change": Gallery.change + 1}
        if items:
            values["items_change"] = Gallery.change + 1
        statement = (
            update(Gallery)
            .where(Gallery.id == gallery.id)
            .values(values)
            .returning(Gallery.change)
            .execution_options(synchronize_session=False)
        )
        change: int = self._session.execute(statement).scalar_one()
        for name in values:
            set_committed_value(gallery, name, change)
        return change

    def is_empty(self, gallery: Gallery) -> bool:
        """Whether it has neither items nor distractors."""
        return self._session.scalar(select(ItemRow.number).where(ItemRow.gallery_id == gallery.id).limit(1)) is None

    def changed_items(self, gallery_id: int, since: int, *, local: bool = True) -> Iterator[Sequence[ItemRow]]:
        """Items and distractors stamped later than `since`, with embeddings, some at a time, in order of change.

        Args:
            local: with their local features as well, which are most of what there is to read.
        """
        vectors = [undefer(ItemRow.embedding), undefer(ItemRow.views)]
        options = [*vectors, undefer(ItemRow.local)] if local else vectors
        # Through the index on changes, in its order: to sort what is left for each part of a million takes hours. First
        # what else has the last part's last change, then the changes after it.
        change, number, among_equals = since, 0, False
        while True:
            after = and_(ItemRow.change == change, ItemRow.number > number) if among_equals else ItemRow.change > change
            statement = (
                select(ItemRow)
                .where(ItemRow.gallery_id == gallery_id, after)
                .order_by(ItemRow.change, ItemRow.number)
                .limit(_ROWS_AT_ONCE)
                .options(*options)
            )
            rows = self._session.scalars(statement).all()
            if rows:
                change, number, among_equals = rows[-1].change, rows[-1].number, True
                yield rows
                self._session.expunge_all()
            elif among_equals:
                among_equals = False
            else:
                return

    def removed_numbers(self, gallery_id: int, since: int) -> Sequence[int]:
        """Numbers of items removed later than `since`."""
        statement = select(Removal.number).where(Removal.gallery_id == gallery_id, Removal.change > since)
        return self._session.scalars(statement).all()

    def newest_calibration(self, gallery_id: int) -> CalibrationRow | None:
        """The calibration in use."""
        statement = (
            select(CalibrationRow)
            .where(CalibrationRow.gallery_id == gallery_id)
            .order_by(CalibrationRow.change.desc())
            .limit(1)
        )
        return self._session.scalar(statement)

    def add_calibration(self, gallery: Gallery, *, basis: int, tuning: Tuning, pipeline: dict[str, Any]) -> int:
        """Store what a gallery learned; every replica takes it up with its next catching up. Old ones go.

        Returns:
            The change number that it was stored under.
        """
        change = self.next_change(gallery, items=False)
        body, adaptation = tuning.to_parts()
        self._session.add(
            CalibrationRow(
                gallery_id=gallery.id, change=change, basis=basis, body=body, adaptation=adaptation, pipeline=pipeline
            )
        )
        self._session.flush()
        kept = (
            select(CalibrationRow.change)
            .where(CalibrationRow.gallery_id == gallery.id)
            .order_by(CalibrationRow.change.desc())
            .limit(_CALIBRATIONS_KEPT)
        )
        oldest_kept = min(self._session.scalars(kept))
        self._session.execute(
            delete(CalibrationRow)
            .where(CalibrationRow.gallery_id == gallery.id, CalibrationRow.change < oldest_kept)
            .execution_options(synchronize_session=False)
        )
        return change

    def stale(self, *, also: Collection[str] = ()) -> list[Staleness]:
        """Galleries that changed after their newest calibration was computed, and those named in `also`; pinned ones
        are left in peace."""
        basis = (
            select(func.coalesce(func.max(CalibrationRow.basis), 0))
            .where(CalibrationRow.gallery_id == Gallery.id)
            .correlate(Gallery)
            .scalar_subquery()
        )
        statement = select(Gallery.name, Gallery.items_change, basis).where(
            (Gallery.items_change > basis) | Gallery.name.in_(sorted(also)), Gallery.pinned.is_(None)
        )
        return [Staleness(name, change, of) for name, change, of in self._session.execute(statement)]


def existing(repository: GalleryRepository, name: str) -> Gallery:
    """The gallery of this name.

    Raises:
        InvalidGalleryName, UnknownGallery: the latter names the galleries that exist.
    """
    row = repository.by_name(gallery_name(name))
    if row is None:
        raise UnknownGallery.among(name, [gallery.name for gallery in repository.all()])
    return row
