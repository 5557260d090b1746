"""`GET /audit`: who changed what."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from service.audit.repository import AuditFilter
from service.audit.schemas import AuditEntry, AuditList
from service.audit.service import Action
from service.auth import Administrator
from service.dependencies import CurrentWorkspace
from service.errors import FieldInvalid
from service.gallery.words import gallery_name
from service.problems import PROBLEM_RESPONSES

__all__ = ["router"]

router = APIRouter(responses=PROBLEM_RESPONSES)


@router.get("/audit")
def list_changes(  # noqa: PLR0917  FastAPI passes them by name
    workspace: CurrentWorkspace,
    key: Administrator,
    gallery: Annotated[str | None, Query(description="Changes of this gallery.")] = None,
    action: Annotated[Action | None, Query(description="Changes of this kind.")] = None,
    actor: Annotated[
        str | None, Query(max_length=100, description="Changes by the key of this name, or by command, server or open.")
    ] = None,
    since: Annotated[AwareDatetime | None, Query(description="Changes from this moment on.")] = None,
    after: Annotated[str | None, Query(max_length=20, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> AuditList:
    """Every administrative change, newest first, a page at a time.

    A key for some galleries sees the changes of those, and none of keys."""
    wanted = AuditFilter(
        gallery=None if gallery is None else gallery_name(gallery),
        action=action,
        actor=None if actor is None else _actor(actor),
        since=None if since is None else _moment(since),
        galleries=key.galleries,
    )
    page = workspace.audit.page(wanted, after=_cursor(after), limit=limit)
    return AuditList(
        entries=[AuditEntry.of(row) for row in page.entries], next=None if page.after is None else str(page.after)
    )


def _actor(text: str) -> str:
    if not text.isprintable():
        raise FieldInvalid("`actor` must be a key's name, or command, server or open", field="actor")
    return text


def _moment(since: AwareDatetime) -> AwareDatetime:
    try:
        return since.astimezone(UTC)  # databases without zones compare what is written
    except OverflowError as error:
        raise FieldInvalid("`since` must lie between the years 1 and 9999 in UTC", field="since") from error


def _cursor(after: str | None) -> int | None:
    if after is None:
        return None
    if not (after.isascii() and after.isdigit() and len(after) < 19):
        raise FieldInvalid("`after` must be the `next` of the page before", field="after")
    return int(after)
