"""All SQL about pinned queries."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from service.models import Gallery, PinRow

__all__ = ["PinRepository"]


class PinRepository:
    """Pins of one gallery inside one transaction."""

    def __init__(self, session: Session, gallery: Gallery) -> None:
        self._session = session
        self._gallery = gallery

    def all(self) -> Sequence[PinRow]:
        """Every pin, oldest first."""
        statement = select(PinRow).where(PinRow.gallery_id == self._gallery.id).order_by(PinRow.created_at, PinRow.id)
        return self._session.scalars(statement).all()

    def count(self) -> int:
        """How many there are."""
        statement = select(func.count()).select_from(PinRow).where(PinRow.gallery_id == self._gallery.id)
        return self._session.execute(statement).scalar_one()

    def of_photo(self, sha256: str) -> PinRow | None:
        """The pin of this photo."""
        return self._session.scalar(
            select(PinRow).where(PinRow.gallery_id == self._gallery.id, PinRow.image_sha256 == sha256)
        )

    def add(self, row: PinRow) -> None:
        """Store a new pin."""
        self._session.add(row)
        self._session.flush()

    def relabel(self, old: str, new: str) -> None:
        """Pins that expect a label expect another."""
        self._session.execute(
            update(PinRow)
            .where(PinRow.gallery_id == self._gallery.id, PinRow.label == old)
            .values(label=new)
            .execution_options(synchronize_session=False)
        )

    def remove(self, id_: str) -> str | None:
        """Remove a pin. Returns its photo's sha256; None if there is no such pin."""
        statement = (
            delete(PinRow)
            .where(PinRow.gallery_id == self._gallery.id, PinRow.id == id_)
            .returning(PinRow.image_sha256)
            .execution_options(synchronize_session=False)
        )
        return self._session.scalar(statement)
