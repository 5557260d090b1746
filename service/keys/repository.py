"""All SQL about API keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import or_, select, text, update
from sqlalchemy.orm import Session

from service.models import ApiKey

__all__ = ["KeyRepository"]


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
        either = or_(ApiKey.key_sha256 == key_sha256, ApiKey.previous_sha256 == key_sha256)
        return self._session.scalar(select(ApiKey).where(either))

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
