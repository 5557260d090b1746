"""The audit log: an entry is written in the transaction of the change that it tells of, so there is never one without
the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy.orm import Session

from service.audit.actor import current_actor
from service.audit.repository import AuditFilter, AuditRepository
from service.database import Database
from service.models import AuditRow

__all__ = ["ACTIONS", "Action", "AuditPage", "AuditService", "record"]

Action = Literal[
    "items_added",
    "item_changed",
    "item_deleted",
    "label_renamed",
    "label_deleted",
    "distractors_added",
    "features_refreshed",
    "gallery_imported",
    "calibrated",
    "published",
    "rolled_back",
    "pin_added",
    "pin_removed",
    "feedback_given",
    "feedback_removed",
    "import_started",
    "import_cancelled",
    "key_created",
    "key_rotated",
    "key_revoked",
]
ACTIONS: tuple[Action, ...] = get_args(Action)


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries, newest first; `after` continues behind the last one, None at the end."""

    entries: Sequence[AuditRow]
    after: int | None


def record(
    session: Session, action: Action, *, gallery: str | None = None, subject: str | None = None, **detail: Any
) -> None:
    """Write down, with the transaction of `session`, what is being done in it, and by whom (`actor.current_actor`).

    Args:
        subject: what is changed: an item's id, a label, a generation's number, a key's name.
        detail: as JSON: counts, sha256, names of fields. Never photos, keys or metadata.
    """
    actor = current_actor()
    AuditRepository(session).add(
        AuditRow(
            via=actor.via,
            actor=actor.name,
            action=action,
            gallery=gallery,
            subject=subject,
            detail=detail,
            request_id=actor.request_id,
        )
    )


class AuditService:
    """Reads the log. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, wanted: AuditFilter, *, after: int | None = None, limit: int = 100) -> AuditPage:
        """Entries, newest first.

        Args:
            after: `AuditPage.after` of the page before.
        """
        with self._database.read() as session:
            rows = AuditRepository(session).page(wanted, before=after, limit=limit + 1)
        return AuditPage(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)
