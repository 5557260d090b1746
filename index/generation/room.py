"""A full disk, told as such."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from index.errors import DiskFull

__all__ = ["told_when_full"]

_NO_ROOM = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "a file may not become so large here",
}


@contextmanager
def told_when_full(what: str) -> Iterator[None]:
    """Tell a full disk from other errors of the system.

    Args:
        what: was to be written.

    Raises:
        DiskFull: there was no room for it.
    """
    try:
        yield
    except OSError as error:
        why = _NO_ROOM.get(error.errno or 0)
        if why is None:
            raise
        raise DiskFull(
            f"{what} could not be written: {why}; nothing of it is left, and what is in use goes on; make room, then "
            "try again",
            reason=why,
        ) from error
