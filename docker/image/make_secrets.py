"""The secrets of a deployment, made at its first start and kept: `docker compose up` asks for none and has no default.

They lie in /secrets, a volume, or a folder of the host that holds files of these names already:

    admin-key           WHICHONE_ADMIN_KEY of the environment, or made; the environment's replaces the one before
    postgres-password   POSTGRES_PASSWORD of the environment, or made; never changed, as the database remembers it
    database-url        made from that; one that names another database may be put there instead
    grafana-password, minio-password
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from urllib.parse import quote

FOLDER = Path("/secrets")
_OURS = 0o400
_OTHERS = 0o444  # read by containers that run as somebody else, and mounted into no other


class Unusable(Exception):
    """The secrets cannot be made; the message says what to do."""


def make_secrets(folder: Path, environ: dict[str, str]) -> list[str]:
    """Write what is not there yet.

    Returns:
        Names of the files written.

    Raises:
        Unusable: the folder cannot be written, or a password was changed here alone.
    """
    written = []
    key, password = environ.get("WHICHONE_ADMIN_KEY"), environ.get("POSTGRES_PASSWORD")
    if password and _read(folder / "postgres-password") not in {None, password}:
        raise Unusable(
            "POSTGRES_PASSWORD differs from the password that the database was made with; take it out of the "
            "environment again, or change it in the database first (docs/operations.md, Keys and passwords)"
        )
    if key and _read(folder / "admin-key") != key:
        written.append(_write(folder / "admin-key", key, _OURS))
    wanted = {
        "admin-key": (f"wo_{secrets.token_urlsafe(32)}", _OURS),
        "postgres-password": (password or secrets.token_urlsafe(32), _OTHERS),
        "grafana-password": (secrets.token_urlsafe(18), _OTHERS),
        "minio-password": (secrets.token_urlsafe(32), _OTHERS),
    }
    for name, (secret, mode) in wanted.items():
        if _read(folder / name) is None:
            written.append(_write(folder / name, secret, mode))
    if _read(folder / "database-url") is None:
        chosen = quote(_read(folder / "postgres-password") or "", safe="")
        url = f"postgresql://whichone:{chosen}@postgres/whichone"
        written.append(_write(folder / "database-url", url, _OURS))
    return written


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unusable(f"{path} cannot be read by uid {os.getuid()}: {error.strerror}") from error


def _write(path: Path, secret: str, mode: int) -> str:
    """Whole or not at all: a start may be cut short."""
    draft = path.with_suffix(".new")
    try:
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(secret + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise Unusable(
            f"{path} cannot be written by uid {os.getuid()}: {error.strerror}; put the file there yourself, or make "
            "the folder theirs"
        ) from error
    return path.name


def main() -> int:
    """Make them, and say where they are; never what they are."""
    try:
        written = make_secrets(FOLDER, dict(os.environ))
    except Unusable as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if written:
        print(f"whichone: secrets made: {', '.join(written)}")
    print("whichone: the admin key is shown by:  docker compose exec api cat /secrets/admin-key")
    return 0


if __name__ == "__main__":
    sys.exit(main())
