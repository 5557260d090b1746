"""Secrets from files, as Docker and Kubernetes hand them over: `WHICHONE_ADMIN_KEY_FILE=/run/secrets/admin-key`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from service.errors import InvalidSetting

__all__ = ["SUFFIX", "read_secrets"]

SUFFIX = "_FILE"
_MOST_BYTES = 2**16


def read_secrets(environ: Mapping[str, str], variables: Iterable[str]) -> dict[str, str]:
    """The content of the files that `environ` names, without the newline at their end.

    Args:
        variables: those of the secrets; each may be given as itself, or with SUFFIX behind it as the path of a file.

    Returns:
        Variable (without the suffix) -> secret, of those that are given as files.

    Raises:
        InvalidSetting: a secret is given both ways; its file cannot be read, is empty, too large or no text.
    """
    found: dict[str, str] = {}
    for variable in variables:
        if path := environ.get(variable + SUFFIX):
            if environ.get(variable):
                raise _refused(variable, f"and {variable} are both set; leave one of them out")
            found[variable] = _content(variable, Path(path))
    return found


def _content(variable: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise _refused(variable, f"names {path}, which cannot be read: {error.strerror}") from error
    if len(content) > _MOST_BYTES:
        raise _refused(variable, f"names {path}, which is too large for a secret: over {_MOST_BYTES} bytes")
    try:
        secret = content.decode().strip()
    except UnicodeDecodeError:
        raise _refused(variable, f"names {path}, which is no text in UTF-8") from None
    if not secret:
        raise _refused(variable, f"names {path}, which is empty; write the secret into it, or unset the variable")
    return secret


def _refused(variable: str, what: str) -> InvalidSetting:
    return InvalidSetting(f"{variable}{SUFFIX} {what}", setting=variable + SUFFIX)
