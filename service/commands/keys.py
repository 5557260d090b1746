"""`whichone keys`: who may call the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from service.commands.data_folder import opened_keys
from service.commands.terminal import note, print_json, stdout
from service.keys.info import KeyInfo
from service.settings import Settings

__all__ = ["create_key", "list_keys", "revoke_key"]


def create_key(settings: Settings, name: str, scopes: Sequence[str], *, as_json: bool) -> None:
    """Make a key and print it, alone on stdout so that a script can catch it."""
    with opened_keys(settings, make=True) as keys:
        key = keys.create(name, scopes)
    if as_json:
        print_json({"name": name, "scopes": sorted(set(scopes)), "key": key})
    else:
        print(key)
        note(
            f"key {name!r} made, scopes: {', '.join(sorted(set(scopes)))}; it is not shown again. Send it as X-API-Key"
        )


def list_keys(settings: Settings, *, as_json: bool) -> None:
    """Everything about the keys but the keys."""
    with opened_keys(settings) as service:
        keys = service.list()
    if as_json:
        print_json({"keys": [_json(key) for key in keys]})
        return
    table = Table("name", "scopes", "origin", "made", "revoked")
    for key in keys:
        made, revoked = str(key.created_at)[:19], str(key.revoked_at)[:19] if key.revoked_at else ""
        table.add_row(escape(key.name), ", ".join(key.scopes), key.origin, made, revoked)
    stdout().print(table)


def revoke_key(settings: Settings, name: str, *, as_json: bool) -> None:
    """Make a key worthless.

    Raises:
        UnknownKey: lists the names that there are.
    """
    with opened_keys(settings) as keys:
        key = keys.revoke(name)
    if as_json:
        print_json(_json(key))
    else:
        stdout().print(f"key {name!r} is revoked", markup=False)


def _json(key: KeyInfo) -> dict[str, Any]:
    return {
        "name": key.name,
        "scopes": list(key.scopes),
        "origin": key.origin,
        "created_at": key.created_at.isoformat(),
        "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
    }
