"""All SQL about labelled queries and kept ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.orm import Session, undefer

from service.models import Gallery, KeptQueryRow, LabelledQueryRow

__all__ = ["KeptQueryRepository", "LabelledQueryRepository"]


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
        statement = (
            select(LabelledQueryRow)
            .where(LabelledQueryRow.gallery_id == self._gallery.id, LabelledQueryRow.bundle_sha256 == bundle_sha256)
            .order_by(LabelledQueryRow.number)
            .options(undefer(LabelledQueryRow.embedding), undefer(LabelledQueryRow.local))
        )
        return self._session.scalars(statement).all()

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
        count = self._session.scalar(
            select(func.count()).select_from(LabelledQueryRow).where(LabelledQueryRow.gallery_id == self._gallery.id)
        )
        if count is None or count <= most:
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
