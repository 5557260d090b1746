"""Who may call what: dependencies that check the X-API-Key header."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Security
from fastapi.security import APIKeyHeader

from service.dependencies import CurrentWorkspace
from service.errors import MissingKey, ScopeMissing
from service.keys.service import KeyInfo, Scope
from service.workspace import Workspace

__all__ = ["AsAdmin", "AsReader", "AsRecognizer", "Header", "require_reader"]

Header = Annotated[
    str | None,
    Security(
        APIKeyHeader(
            name="X-API-Key",
            auto_error=False,
            description="An API key. `admin` keys may do everything, `recognize` keys recognise and read.",
        )
    ),
]


def _require(workspace: Workspace, key: str | None, scope: Scope, *, open_to_all: bool = False) -> KeyInfo | None:
    if key is None and open_to_all:
        return None
    if key is None:
        raise MissingKey(
            f"this call needs an API key of scope `{scope}` in the header X-API-Key; `whichone keys create` makes one",
            scope=scope,
        )
    info = workspace.keys.check(key)  # a key that came is checked, even where none is needed
    if not info.allows(scope):
        held = ", ".join(info.scopes)
        raise ScopeMissing(f"this call needs a key of scope `{scope}`; {info.name!r} has {held}", scope=scope)
    return info


def _as_recognizer(workspace: CurrentWorkspace, key: Header) -> KeyInfo | None:
    settings = workspace.settings
    return _require(workspace, key, "recognize", open_to_all=settings.open_recognize or settings.on_loopback)


def require_reader(workspace: Workspace, key: str | None) -> KeyInfo | None:
    """Who may read what a gallery holds; an open POST /recognize does not open that.

    Raises:
        MissingKey, WrongKey, ScopeMissing: not this caller.
    """
    return _require(workspace, key, "recognize", open_to_all=workspace.settings.on_loopback)


def _as_reader(workspace: CurrentWorkspace, key: Header) -> KeyInfo | None:
    return require_reader(workspace, key)


def _as_admin(workspace: CurrentWorkspace, key: Header) -> KeyInfo | None:
    return _require(workspace, key, "admin")


AsRecognizer = Depends(_as_recognizer)
AsReader = Depends(_as_reader)
AsAdmin = Depends(_as_admin)
