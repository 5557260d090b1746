"""What may be known of a key after it was shown: everything but the key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import Row

from service.models import ApiKey
from service.rates import Rate

__all__ = ["SCOPES", "KeyInfo", "Scope"]

Scope = Literal["recognize", "index", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""Each is good for what those before it are good for."""


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """A key, but for its secret.

    Attributes:
        galleries: those that it is good for; None for every gallery.
        rate: requests that it may make; None for the server's own rate.
        origin: `environment`, `generated` or `created`.
        previous_until: how long the secret before the last rotation is good.
    """

    name: str
    scopes: tuple[str, ...]
    galleries: frozenset[str] | None
    rate: Rate | None
    origin: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    previous_until: datetime | None

    @classmethod
    def of(cls, row: ApiKey | Row[Any]) -> KeyInfo:
        """Of a row, or of its columns."""
        return cls(
            row.name,
            tuple(row.scopes),
            None if row.galleries is None else frozenset(row.galleries),
            None if row.rate is None else Rate.parse(row.rate),
            row.origin,
            row.created_at,
            row.expires_at,
            row.last_used_at,
            row.revoked_at,
            row.previous_until,
        )

    def allows(self, scope: Scope) -> bool:
        """Whether the key is good for calls of this scope, by its own or a wider one."""
        wide_enough = SCOPES[SCOPES.index(scope) :]
        return self.revoked_at is None and any(held in wide_enough for held in self.scopes)

    def sees(self, gallery: str) -> bool:
        """Whether the key is good for this gallery."""
        return self.galleries is None or gallery in self.galleries

    def governs(self, now: datetime) -> bool:
        """Whether it is an admin key for every gallery that has not ended."""
        ended = self.expires_at is not None and now >= self.expires_at
        return self.allows("admin") and self.galleries is None and not ended
