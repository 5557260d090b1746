"""API keys: `wo_` and 256 random bits, shown once, stored as their sha256.

A plain sha256 is enough here: slow hashes protect secrets that people choose and attackers can enumerate, and nobody
enumerates 2**256 keys. The look-up goes by the hash, so its timing tells nothing about any key.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from service.audit.actor import SERVER, acting
from service.audit.service import record
from service.database import Database
from service.errors import (
    DuplicateItem,
    ExpiredKey,
    FieldInvalid,
    InvalidSetting,
    KeyNotRotatable,
    UnknownKey,
    WrongKey,
)
from service.gallery.words import gallery_name
from service.keys.info import SCOPES, KeyInfo
from service.keys.repository import KeyRepository, key_of_hash
from service.keys.uses import KeyUses
from service.models import ApiKey
from service.rates import Rate

__all__ = ["KeyService"]

_MOST_GALLERIES = 100


class KeyService:
    """Makes, lists, rotates, revokes and checks keys. `whichone keys` calls it on a data folder, the server on every
    request.

    Attributes:
        uses: when keys were used, to be written by a thread of the server.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.uses = KeyUses(database)

    def create(
        self,
        name: str,
        scopes: Sequence[str] = ("recognize",),
        *,
        galleries: Sequence[str] | None = None,
        expires_at: datetime | None = None,
        rate: str | None = None,
    ) -> str:
        """Make a key and return it; it cannot be shown again.

        Args:
            galleries: those that it is good for, whether they are there yet or not; None for every gallery.
            rate: requests that it may make, `600/min`; None for the server's own rate.

        Raises:
            FieldInvalid: an empty name, an unknown scope, too many galleries, a rate that is none.
            InvalidGalleryName.
            DuplicateItem: the name is taken, also by a revoked key.
        """
        name = name.strip()
        if not 1 <= len(name) <= 100 or not name.isprintable():
            raise FieldInvalid("a key's name has 1 to 100 printable characters", field="name")
        if unknown := [scope for scope in scopes if scope not in SCOPES] or not scopes:
            raise FieldInvalid(f"unknown scope {unknown}; scopes are {', '.join(SCOPES)}", field="scopes")
        key = _generate()
        row = _row(key, name, scopes, "created")
        row.galleries = None if galleries is None else _galleries(galleries)
        row.expires_at = expires_at
        row.rate = None if rate is None else str(Rate.parse(rate))
        with self._database.write() as session:
            keys = KeyRepository(session)
            keys.alone()
            if keys.by_name(name) is not None:
                raise DuplicateItem(f"there is a key named {name!r} already; choose another name", field="name")
            keys.add(row)
            ends = None if expires_at is None else expires_at.isoformat()
            told: dict[str, Any] = {"scopes": row.scopes, "galleries": row.galleries, "rate": row.rate}
            record(session, "key_created", subject=name, expires_at=ends, **told)
        return key

    def rotate(self, name: str, *, grace: timedelta, expires_at: datetime | None = None) -> tuple[str, KeyInfo]:
        """Give a key a new secret, to be shown this once; the old one stays good for `grace`.

        A secret from before the old one is good no longer. The old one outlives no end that the key had.

        Args:
            expires_at: a new end of the key; None leaves it.

        Raises:
            UnknownKey: no key of this name.
            KeyNotRotatable: it was revoked, has expired and gets no new end, or is WHICHONE_ADMIN_KEY's.
        """
        now = datetime.now(UTC)
        with self._database.write() as session:
            keys = KeyRepository(session)
            keys.alone()
            row = _named(keys, name)
            _require_rotatable(row, now, expires_at)
            key, until = _generate(), now + grace
            row.previous_sha256 = row.key_sha256
            row.previous_until = until if row.expires_at is None else min(until, row.expires_at)
            row.key_sha256 = _hash(key)
            row.expires_at = expires_at or row.expires_at
            ends = None if expires_at is None else expires_at.isoformat()
            record(session, "key_rotated", subject=name, grace_s=grace.total_seconds(), expires_at=ends)
            return key, KeyInfo.of(row)

    def list(self) -> list[KeyInfo]:
        """Every key, oldest first, revoked ones too."""
        with self._database.read() as session:
            return [KeyInfo.of(row) for row in KeyRepository(session).all()]

    def revoke(self, name: str) -> KeyInfo:
        """Make the key of this name worthless, in every process, from the next request on.

        Raises:
            UnknownKey: no key of this name.
        """
        with self._database.write() as session:
            keys = KeyRepository(session)
            row = _named(keys, name)
            if row.revoked_at is None:
                keys.revoke(row)
                record(session, "key_revoked", subject=name)
            return KeyInfo.of(row)

    def check(self, key: str) -> KeyInfo:
        """What the key may do.

        Raises:
            WrongKey: not a key of this server, or a revoked one.
            ExpiredKey: it has ended, or was replaced by a rotation whose grace has.
        """
        hashed = _hash(key)
        with self._database.glance() as connection:
            row = key_of_hash(connection, hashed)
        current = row is not None and hmac.compare_digest(row.key_sha256, hashed)
        previous = row is not None and hmac.compare_digest(row.previous_sha256 or "", hashed)
        if row is None or not (current or previous):
            raise WrongKey("this API key is not known here; `whichone keys create NAME` makes one")
        if row.revoked_at is not None:
            raise WrongKey(f"this API key ({row.name!r}) was revoked; use another")
        now = datetime.now(UTC)
        if row.expires_at is not None and now >= row.expires_at:
            raise ExpiredKey(f"this API key ({row.name!r}) expired at {_told(row.expires_at)}; use another")
        if not current and (row.previous_until is None or now >= row.previous_until):
            raise ExpiredKey(f"this API key ({row.name!r}) was replaced by a rotation; use the new one")
        self.uses.note(row.id)
        return KeyInfo.of(row)

    def ensure_admin(self, from_environment: str | None) -> str | None:
        """See to it that there is an admin key; several processes may do so at once.

        Args:
            from_environment: WHICHONE_ADMIN_KEY. It replaces the key that an earlier value set.

        Returns: the key that was made, if none was given and none existed that is good for every gallery: to be
            printed, once.

        Raises:
            InvalidSetting: the environment's key was revoked, or rotated.
        """
        with acting(SERVER), self._database.write() as session:
            keys = KeyRepository(session)
            keys.alone()
            if from_environment is not None:
                _adopt(session, keys, from_environment)
                return None
            now = datetime.now(UTC)
            if any(KeyInfo.of(row).governs(now) for row in keys.all()):
                return None
            key = _generate()
            _add_admin(session, keys, _row(key, _free_name(keys, "first admin key"), ("admin",), "generated"))
            return key


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _generate() -> str:
    return "wo_" + secrets.token_urlsafe(32)


def _told(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def _row(key: str, name: str, scopes: Sequence[str], origin: str) -> ApiKey:
    return ApiKey(name=name, key_sha256=_hash(key), scopes=sorted(set(scopes)), origin=origin)


def _galleries(names: Sequence[str]) -> list[str]:
    kept = sorted({gallery_name(name) for name in names})
    if not 1 <= len(kept) <= _MOST_GALLERIES:
        raise FieldInvalid(f"a key may be for 1 to {_MOST_GALLERIES} galleries; got {len(kept)}", field="galleries")
    return kept


def _named(keys: KeyRepository, name: str) -> ApiKey:
    row = keys.by_name(name)
    if row is None:
        known = ", ".join(repr(key.name) for key in keys.all()) or "none"
        raise UnknownKey(f"there is no key named {name!r}; there are: {known}")
    return row


def _require_rotatable(row: ApiKey, now: datetime, expires_at: datetime | None) -> None:
    if row.revoked_at is not None:
        raise KeyNotRotatable(f"key {row.name!r} was revoked; make another with `whichone keys create`")
    if row.origin == "environment":
        raise KeyNotRotatable(f"key {row.name!r} is the value of WHICHONE_ADMIN_KEY; change that, and restart")
    if expires_at is None and row.expires_at is not None and now >= row.expires_at:
        raise KeyNotRotatable(f"key {row.name!r} expired at {_told(row.expires_at)}; give it a new end with --expires")


def _adopt(session: Session, keys: KeyRepository, key: str) -> None:
    hashed = _hash(key)
    for row in keys.all():
        if row.origin == "environment" and row.key_sha256 != hashed and row.revoked_at is None:
            keys.revoke(row)
            record(session, "key_revoked", subject=row.name)
    known = keys.by_hash(hashed)
    if known is None:
        _add_admin(session, keys, _row(key, _free_name(keys, "WHICHONE_ADMIN_KEY"), ("admin",), "environment"))
    elif known.revoked_at is not None or known.key_sha256 != hashed:
        raise InvalidSetting(
            "WHICHONE_ADMIN_KEY holds a key that was revoked or rotated; choose another", setting="WHICHONE_ADMIN_KEY"
        )


def _add_admin(session: Session, keys: KeyRepository, row: ApiKey) -> None:
    keys.add(row)
    record(session, "key_created", subject=row.name, scopes=row.scopes, origin=row.origin)


def _free_name(keys: KeyRepository, wanted: str) -> str:
    taken = {row.name for row in keys.all()}
    names = [wanted, *(f"{wanted} {count}" for count in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)
