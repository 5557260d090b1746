"""All SQL about labelled queries and kept ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.orm import Session, undefer

from service.models import Gallery, KeptQueryRow, LabelledQueryRow

__all__ = ["KeptQueryRepository", "LabelledQueryRepository"]

_ROWS_AT_ONCE = 128
"""With local features a row has up to 70 kB."""


class LabelledQueryRepository:
    """Labelled queries of one gallery inside one transaction."""

    def __init__(self, session: Session, gallery: Gallery) -> None:
        self._session = session
        self._gallery = gallery

    def all(self) -> Sequence[LabelledQueryRow]:
        """Every one, newest first, without vectors."""
        return self._session.scalars(self._newest_first()).all()

    def with_vectors(self, bundle_sha256: str) -> Sequence[LabelledQueryRow]:
        """Those that a bundle embedded, oldest first, with embedding and local features."""
        return self._session.scalars(self._embedded_by(bundle_sha256)).all()

    def in_parts(self, bundle_sha256: str) -> Iterator[Sequence[LabelledQueryRow]]:
        """The same, some at a time."""
        number = 0
        while True:
            statement = self._embedded_by(bundle_sha256).where(LabelledQueryRow.number > number).limit(_ROWS_AT_ONCE)
            rows = self._session.scalars(statement).all()
            if not rows:
                return
            number = rows[-1].number
            yield rows
            self._let_go(rows)

    def count(self, bundle_sha256: str | None = None) -> int:
        """How many there are, or how many of them a bundle embedded."""
        statement = (
            select(func.count()).select_from(LabelledQueryRow).where(LabelledQueryRow.gallery_id == self._gallery.id)
        )
        if bundle_sha256 is not None:
            statement = statement.where(LabelledQueryRow.bundle_sha256 == bundle_sha256)
        return self._session.execute(statement).scalar_one()

    def taken(self, ids: Sequence[str]) -> set[str]:
        """Which of these ids, a few at most, some gallery's have already."""
        return set(self._session.scalars(select(LabelledQueryRow.id).where(LabelledQueryRow.id.in_(ids))))

    def of_query(self, image_sha256: str, box: str) -> LabelledQueryRow | None:
        """The one about this part of this photo."""
        return self._session.scalar(
            select(LabelledQueryRow).where(
                LabelledQueryRow.gallery_id == self._gallery.id,
                LabelledQueryRow.image_sha256 == image_sha256,
                LabelledQueryRow.box == box,
            )
        )

    def add(self, row: LabelledQueryRow) -> None:
        """Store a new one."""
        self._session.add(row)
        self._session.flush()

    def add_all(self, rows: Sequence[LabelledQueryRow]) -> None:
        """Store new ones, in this order, and keep nothing of them in memory."""
        self._session.add_all(rows)
        self._session.flush()
        self._let_go(rows)

    def relabel(self, old: str, new: str) -> None:
        """What showed a label shows another."""
        self._session.execute(
            update(LabelledQueryRow)
            .where(LabelledQueryRow.gallery_id == self._gallery.id, LabelledQueryRow.label == old)
            .values(label=new)
            .execution_options(synchronize_session=False)
        )

    def remove(self, id_: str) -> LabelledQueryRow | None:
        """Remove one, and return what it was; None if there is no such."""
        row = self._session.scalar(
            select(LabelledQueryRow).where(LabelledQueryRow.gallery_id == self._gallery.id, LabelledQueryRow.id == id_)
        )
        if row is not None:
            self._session.delete(row)
            self._session.flush()
        return row

    def keep_newest(self, most: int) -> None:
        """Remove all but so many."""
        if self.count() <= most:
            return
        for row in self._session.scalars(self._newest_first().offset(most)).all():
            self._session.delete(row)
        self._session.flush()

    def _newest_first(self) -> Select[LabelledQueryRow]:
        return (
            select(LabelledQueryRow)
            .where(LabelledQueryRow.gallery_id == self._gallery.id)
            .order_by(LabelledQueryRow.number.desc())
        )

    def _embedded_by(self, bundle_sha256: str) -> Select[LabelledQueryRow]:
        return (
            select(LabelledQueryRow)
            .where(LabelledQueryRow.gallery_id == self._gallery.id, LabelledQueryRow.bundle_sha256 == bundle_sha256)
            .order_by(LabelledQueryRow.number)
            .options(undefer(LabelledQueryRow.embedding), undefer(LabelledQueryRow.local))
        )

    def _let_go(self, rows: Sequence[LabelledQueryRow]) -> None:
        for row in rows:
            self._session.expunge(row)


class KeptQueryRepository:
    """Queries that were answered, inside one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, row: KeptQueryRow) -> None:
        """Keep one."""
        self._session.add(row)

    def of_recognition(self, gallery: Gallery, id_: str, *, bundle_sha256: str, since: datetime) -> KeptQueryRow | None:
        """The query of a recognition by this gallery and bundle, unless it was before `since`."""
        return self._session.scalar(
            select(KeptQueryRow).where(
                KeptQueryRow.id == id_,
                KeptQueryRow.gallery_id == gallery.id,
                KeptQueryRow.bundle_sha256 == bundle_sha256,
                KeptQueryRow.asked_at >= since,
            )
        )

    def forget(self, before: datetime) -> int:
        """Delete what was asked before; returns how many."""
        statement = (
            delete(KeptQueryRow)
            .where(KeptQueryRow.asked_at < before)
            .returning(KeptQueryRow.id)
            .execution_options(synchronize_session=False)
        )
        return len(self._session.scalars(statement).all())
