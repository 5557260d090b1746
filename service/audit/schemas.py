"""What `GET /audit` answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from service.models import AuditRow

__all__ = ["AuditEntry", "AuditList"]


class AuditEntry(BaseModel):
    """One administrative change."""

    id: int
    at: datetime
    via: str = Field(description="key, open (a request without a key), command (the command line) or server (itself).")
    actor: str = Field(description="The key's name; where none was used, the same as `via`.")
    action: str
    gallery: str | None
    subject: str | None = Field(description="What was changed: an item's id, a label, a generation, a key's name.")
    detail: dict[str, Any]
    request_id: str | None = Field(description="X-Request-Id of the request.")

    @classmethod
    def of(cls, row: AuditRow) -> AuditEntry:
        """Of a row."""
        return cls(
            id=row.id,
            at=row.at,
            via=row.via,
            actor=row.actor or row.via,
            action=row.action,
            gallery=row.gallery,
            subject=row.subject,
            detail=row.detail,
            request_id=row.request_id,
        )


class AuditList(BaseModel):
    """Changes, newest first; `next` as `after` continues behind the last one, null at the end."""

    entries: list[AuditEntry]
    next: str | None
