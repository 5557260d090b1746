"""`whichone audit`: who changed what."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from rich.markup import escape
from rich.table import Table

from service.audit.repository import AuditFilter
from service.audit.schemas import AuditEntry
from service.audit.service import ACTIONS, AuditService
from service.commands.data_folder import opened_database
from service.commands.terminal import print_json, stdout
from service.errors import FieldInvalid
from service.gallery.words import gallery_name
from service.keys.words import start_of
from service.settings import Settings

__all__ = ["show_audit"]

_PAGE = 1000


def show_audit(
    settings: Settings,
    *,
    gallery: str | None,
    action: str | None,
    actor: str | None,
    since: str | None,
    most: int,
    as_json: bool,
) -> None:
    """Print the newest changes, up to `most` of them.

    Raises:
        NoDataFolder; InvalidGalleryName; FieldInvalid: an action that there is not, or a time that is none.
    """
    if action is not None and action not in ACTIONS:
        raise FieldInvalid(f"there is no action {action[:40]!r}; there are: {', '.join(ACTIONS)}", field="action")
    wanted = AuditFilter(
        gallery=None if gallery is None else gallery_name(gallery),
        action=action,
        actor=actor,
        since=None if since is None else start_of(since, datetime.now(UTC)),
    )
    entries: list[AuditEntry] = []
    after: int | None = None
    with opened_database(settings) as database:
        while len(entries) < most:
            page = AuditService(database).page(wanted, after=after, limit=min(_PAGE, most - len(entries)))
            entries += map(AuditEntry.of, page.entries)
            after = page.after
            if after is None:
                break
    if as_json:
        print_json({"entries": [entry.model_dump(mode="json") for entry in entries]})
        return
    table = Table("when", "who", "what", "gallery", "subject", "detail")
    for entry in entries:
        who = f"key {entry.actor!r}" if entry.via == "key" else entry.actor
        detail = json.dumps({name: value for name, value in entry.detail.items() if name != "sha256"})
        when = entry.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(when, *map(escape, (who, entry.action, entry.gallery or "", entry.subject or "", detail)))
    stdout().print(table)
