"""All SQL about API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import select, text
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
        """The key of this sha256, revoked or not."""
        return self._session.scalar(select(ApiKey).where(ApiKey.key_sha256 == key_sha256))

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
