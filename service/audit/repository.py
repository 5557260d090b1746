"""All SQL about the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from service.models import AuditRow

__all__ = ["AuditFilter", "AuditRepository"]


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries; None does not ask.

    Attributes:
        actor: a key's name, or `command`, `server`, `open` for what came without one.
        since: entries from this moment on.
        galleries: entries about these galleries only.
    """

    gallery: str | None = None
    action: str | None = None
    actor: str | None = None
    since: datetime | None = None
    galleries: frozenset[str] | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """As SQL."""
        wanted: list[ColumnElement[bool]] = []
        if self.gallery is not None:
            wanted.append(AuditRow.gallery == self.gallery)
        if self.action is not None:
            wanted.append(AuditRow.action == self.action)
        if self.actor is not None:
            wanted.append(func.coalesce(AuditRow.actor, AuditRow.via) == self.actor)
        if self.since is not None:
            wanted.append(AuditRow.at >= self.since)
        if self.galleries is not None:
            wanted.append(AuditRow.gallery.in_(sorted(self.galleries)))
        return wanted


class AuditRepository:
    """The log inside one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, row: AuditRow) -> None:
        """Write an entry with the transaction."""
        self._session.add(row)

    def page(self, wanted: AuditFilter, *, before: int | None, limit: int) -> Sequence[AuditRow]:
        """Up to `limit` entries, newest first, from the one before `before` on."""
        statement = select(AuditRow).where(*wanted.conditions()).order_by(AuditRow.id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(AuditRow.id < before)
        return self._session.scalars(statement).all()
