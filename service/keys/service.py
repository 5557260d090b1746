"""API keys: `wo_` and 256 random bits, shown once, stored as their sha256.

A plain sha256 is enough here: slow hashes protect secrets that people choose and attackers can enumerate, and nobody
enumerates 2**256 keys. The look-up goes by the hash, so its timing tells nothing about any key.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from service.database import Database
from service.errors import DuplicateItem, FieldInvalid, InvalidSetting, UnknownKey, WrongKey
from service.keys.repository import KeyRepository
from service.models import ApiKey

__all__ = ["SCOPES", "KeyInfo", "KeyService", "Scope"]

Scope = Literal["recognize", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What may be known of a key after it was shown: everything but the key.

    Attributes:
        origin: `environment`, `generated` or `created`.
    """

    name: str
    scopes: tuple[str, ...]
    origin: str
    created_at: datetime
    revoked_at: datetime | None

    def allows(self, scope: Scope) -> bool:
        """Whether the key is good for calls of this scope; admin is good for all."""
        return self.revoked_at is None and (scope in self.scopes or "admin" in self.scopes)


def _info(row: ApiKey) -> KeyInfo:
    return KeyInfo(row.name, tuple(row.scopes), row.origin, row.created_at, row.revoked_at)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _generate() -> str:
    return "wo_" + secrets.token_urlsafe(32)


class KeyService:
    """Makes, lists, revokes and checks keys. `whichone keys` calls it on a data folder, the server on every request."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, scopes: Sequence[str] = ("recognize",)) -> str:
        """Make a key and return it; it cannot be shown again.

        Raises:
            FieldInvalid: an empty name, or a scope that is neither `recognize` nor `admin`.
            DuplicateItem: the name is taken, also by a revoked key.
        """
        name = name.strip()
        if not 1 <= len(name) <= 100 or not name.isprintable():
            raise FieldInvalid("a key's name has 1 to 100 printable characters", field="name")
        if unknown := [scope for scope in scopes if scope not in SCOPES] or not scopes:
            raise FieldInvalid(f"unknown scope {unknown}; scopes are {', '.join(SCOPES)}", field="scopes")
        key = _generate()
        with self._database.write() as session:
            keys = KeyRepository(session)
            keys.alone()
            if keys.by_name(name) is not None:
                raise DuplicateItem(f"there is a key named {name!r} already; choose another name", field="name")
            keys.add(self._row(key, name, scopes, "created"))
        return key

    def list(self) -> list[KeyInfo]:
        """Every key, oldest first, revoked ones too."""
        with self._database.read() as session:
            return [_info(row) for row in KeyRepository(session).all()]

    def revoke(self, name: str) -> KeyInfo:
        """Make the key of this name worthless, in every process, from the next request on.

        Raises:
            UnknownKey: no key of this name.
        """
        with self._database.write() as session:
            keys = KeyRepository(session)
            row = keys.by_name(name)
            if row is None:
                known = ", ".join(repr(key.name) for key in keys.all()) or "none"
                raise UnknownKey(f"there is no key named {name!r}; there are: {known}")
            keys.revoke(row)
            return _info(row)

    def check(self, key: str) -> KeyInfo:
        """The key's name and scopes.

        Raises:
            WrongKey: not a key of this server, or a revoked one.
        """
        hashed = _hash(key)
        with self._database.read() as session:
            row = KeyRepository(session).by_hash(hashed)
        if row is None or not hmac.compare_digest(row.key_sha256, hashed):
            raise WrongKey("this API key is not known here; `whichone keys create NAME` makes one")
        if row.revoked_at is not None:
            raise WrongKey(f"this API key ({row.name!r}) was revoked; use another")
        return _info(row)

    def ensure_admin(self, from_environment: str | None) -> str | None:
        """See to it that there is an admin key; several processes may do so at once.

        Args:
            from_environment: WHICHONE_ADMIN_KEY. It replaces the key that an earlier value set.

        Returns: the key that was made, if none was given and none existed: to be printed, once.

        Raises:
            InvalidSetting: the environment's key was revoked.
        """
        with self._database.write() as session:
            keys = KeyRepository(session)
            keys.alone()
            if from_environment is not None:
                self._adopt(keys, from_environment)
                return None
            if any(row.revoked_at is None and "admin" in row.scopes for row in keys.all()):
                return None
            key = _generate()
            keys.add(self._row(key, self._free_name(keys, "first admin key"), ("admin",), "generated"))
            return key

    def _adopt(self, keys: KeyRepository, key: str) -> None:
        hashed = _hash(key)
        for row in keys.all():
            if row.origin == "environment" and row.key_sha256 != hashed:
                keys.revoke(row)
        known = keys.by_hash(hashed)
        if known is None:
            keys.add(self._row(key, self._free_name(keys, "WHICHONE_ADMIN_KEY"), ("admin",), "environment"))
        elif known.revoked_at is not None:
            raise InvalidSetting(
                "WHICHONE_ADMIN_KEY holds a key that was revoked; choose another", setting="WHICHONE_ADMIN_KEY"
            )

    @staticmethod
    def _row(key: str, name: str, scopes: Sequence[str], origin: str) -> ApiKey:
        return ApiKey(name=name, key_sha256=_hash(key), scopes=sorted(set(scopes)), origin=origin)

    @staticmethod
    def _free_name(keys: KeyRepository, wanted: str) -> str:
        taken = {row.name for row in keys.all()}
        names = [wanted, *(f"{wanted} {count}" for count in range(2, len(taken) + 3))]
        return next(name for name in names if name not in taken)
