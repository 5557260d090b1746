"""Who is acting: found in the context, so that a transaction deep inside can write it down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

__all__ = ["COMMAND", "SERVER", "Actor", "Via", "act_as", "acting", "current_actor"]

Via = Literal["key", "open", "command", "server"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a change.

    Attributes:
        via: `key`, `open` (a request without a key), `command` (the command line), `server` (by itself).
        name: the key's.
        request_id: the request's.
    """

    via: Via
    name: str | None = None
    request_id: str | None = None


COMMAND = Actor("command")
SERVER = Actor("server")

_ACTOR: ContextVar[Actor] = ContextVar("actor", default=COMMAND)


def current_actor() -> Actor:
    """Who acts in this context; the command line where nobody said anything."""
    return _ACTOR.get()


def act_as(actor: Actor) -> None:
    """Say who acts for the rest of this context: a request's, a thread's."""
    _ACTOR.set(actor)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Say who acts inside a `with` block."""
    token = _ACTOR.set(actor)
    try:
        yield
    finally:
        _ACTOR.reset(token)
