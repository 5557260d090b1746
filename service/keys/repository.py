"""All SQL about API keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, String, bindparam, or_, select, text, update
from sqlalchemy.orm import Session

from service.models import ApiKey

__all__ = ["KeyRepository", "key_of_hash"]

_HASH = bindparam("hash", type_=String)
_OF_HASH = select(ApiKey).where(or_(ApiKey.key_sha256 == _HASH, ApiKey.previous_sha256 == _HASH))
"""Made once: it is asked for with every request, and to make it takes as long as to ask."""


def key_of_hash(connection: Connection, key_sha256: str) -> Row[Any] | None:
    """The columns of the key of this sha256, now or before its last rotation, revoked or not."""
    return connection.execute(_OF_HASH, {"hash": key_sha256}).one_or_none()


class KeyRepository:
    """Keys inside one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def alone(self) -> None:
        """Keep other processes from adding keys until this transaction ends (SQLite's writers are alone anyway)."""
        if self._session.get_bind().dialect.name == "postgresql":
            self._session.execute(text("LOCK TABLE api_keys IN SHARE ROW EXCLUSIVE MODE"))

    def by_hash(self, key_sha256: str) -> ApiKey | None:
        """The key of this sha256, now or before its last rotation, revoked or not."""
        return self._session.scalar(_OF_HASH, {"hash": key_sha256})

    def by_name(self, name: str) -> ApiKey | None:
        """The key of this name, revoked or not."""
        return self._session.scalar(select(ApiKey).where(ApiKey.name == name))

    def all(self) -> Sequence[ApiKey]:
        """Every key, oldest first."""
        return self._session.scalars(select(ApiKey).order_by(ApiKey.id)).all()

    def add(self, key: ApiKey) -> None:
        """Store a new key."""
        self._session.add(key)
        self._session.flush()

    def revoke(self, key: ApiKey) -> None:
        """Make the key worthless from this transaction on; it stays listed."""
        key.revoked_at = key.revoked_at or datetime.now(UTC)

    def used(self, moments: Mapping[int, datetime], *, at_least: timedelta) -> None:
        """Note when keys were last used, where what is noted is older by `at_least`: another process may have."""
        for key_id, moment in sorted(moments.items()):  # in one order: two processes must not wait for each other
            older = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= moment - at_least)
            self._session.execute(
                update(ApiKey)
                .where(ApiKey.id == key_id, older)
                .values(last_used_at=moment)
                .execution_options(synchronize_session=False)
            )
