"""`whichone keys`: who may call the server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.markup import escape
from rich.table import Table

from service.commands.data_folder import opened_keys
from service.commands.terminal import note, print_json, stdout
from service.keys.info import KeyInfo
from service.keys.words import duration_of, end_of
from service.settings import Settings

__all__ = ["create_key", "list_keys", "revoke_key", "rotate_key"]


def create_key(
    settings: Settings,
    name: str,
    scopes: Sequence[str],
    *,
    galleries: Sequence[str] | None,
    expires: str | None,
    rate: str | None,
    as_json: bool,
) -> None:
    """Make a key and print it, alone on stdout so that a script can catch it.

    Args:
        expires: a length of time or a date, see `end_of`.

    Raises: see `KeyService.create`.
    """
    ends = None if expires is None else end_of(expires, datetime.now(UTC))
    with opened_keys(settings, make=True) as keys:
        key = keys.create(name, scopes, galleries=galleries, expires_at=ends, rate=rate)
    kept = sorted(set(scopes))
    if as_json:
        for_ = None if galleries is None else sorted(set(galleries))
        print_json(
            {"name": name, "scopes": kept, "galleries": for_, "rate": rate, "expires_at": _iso(ends), "key": key}
        )
        return
    print(key)
    where = "" if galleries is None else f", galleries: {', '.join(sorted(set(galleries)))}"
    until = "" if ends is None else f", good until {_short(ends)} UTC"
    note(f"key {name!r} made, scopes: {', '.join(kept)}{where}{until}; it is not shown again. Send it as X-API-Key")


def rotate_key(settings: Settings, name: str, *, grace: str, expires: str | None, as_json: bool) -> None:
    """Give a key a new secret and print it, alone on stdout.

    Args:
        grace: how long the old secret stays good.

    Raises:
        UnknownKey: lists the names that there are.
        KeyNotRotatable.
    """
    length = duration_of(grace, "grace")
    ends = None if expires is None else end_of(expires, datetime.now(UTC))
    with opened_keys(settings) as keys:
        key, info = keys.rotate(name, grace=length, expires_at=ends)
    if as_json:
        print_json(_json(info) | {"key": key})
    else:
        print(key)
        old = "the old one is worthless now"
        if length and info.previous_until is not None:
            old = f"the old one is good until {_short(info.previous_until)} UTC"
        note(f"key {name!r} has a new secret, not shown again; {old}")


def list_keys(settings: Settings, *, as_json: bool) -> None:
    """Everything about the keys but the keys."""
    with opened_keys(settings) as service:
        keys = service.list()
    if as_json:
        print_json({"keys": [_json(key) for key in keys]})
        return
    table = Table("name", "scopes", "galleries", "rate", "origin", "made", "last used", "ends", "revoked")
    for key in keys:
        table.add_row(
            escape(key.name),
            ", ".join(key.scopes),
            "all" if key.galleries is None else ", ".join(sorted(key.galleries)),
            "" if key.rate is None else str(key.rate),
            key.origin,
            *map(_short, (key.created_at, key.last_used_at, key.expires_at, key.revoked_at)),
        )
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


def _short(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _json(key: KeyInfo) -> dict[str, Any]:
    return {
        "name": key.name,
        "scopes": list(key.scopes),
        "galleries": None if key.galleries is None else sorted(key.galleries),
        "rate": None if key.rate is None else str(key.rate),
        "origin": key.origin,
        "created_at": key.created_at.isoformat(),
        "last_used_at": _iso(key.last_used_at),
        "expires_at": _iso(key.expires_at),
        "previous_until": _iso(key.previous_until),
        "revoked_at": _iso(key.revoked_at),
    }
