"""The photo store: files named by their sha256, durable before the database may refer to them.

    photos/ab/cd/<sha256>    the bytes exactly as they came
    photos/incoming/         being written; whatever a crash leaves here belongs to nobody

A photo is stored BEFORE the transaction that refers to it commits, and removed AFTER the transaction that drops its
last reference: a crash in between leaves at worst a file too many. `adding()` and `discard` exclude each other across
processes, or a photo could be removed just while another process decides that it is already there.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from service.errors import PhotoLost
from service.locks import file_lock, try_file_lock

__all__ = ["PhotoStore", "sha256_of"]


def sha256_of(data: bytes) -> str:
    """Hexadecimal sha256 of a photo's bytes: its name in the store."""
    return hashlib.sha256(data).hexdigest()


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class PhotoStore:
    """The photos of one data folder; every process on the folder has its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / "incoming"
        self._lock = root / "lock"
        self._turnstile = root / "turnstile"

    def prepare(self) -> None:
        """Make the folders, and clear what a crash left half written, unless somebody is writing now."""
        self._incoming.mkdir(parents=True, exist_ok=True)
        _flush_folder(self.root.parent)
        with try_file_lock(self._lock) as alone:
            if alone:
                for leftover in self._incoming.iterdir():
                    leftover.unlink(missing_ok=True)

    def path(self, sha256: str) -> Path:
        """Where the photo of this sha256 is or would be."""
        return self.root / sha256[:2] / sha256[2:4] / sha256

    @contextmanager
    def adding(self) -> Iterator[None]:
        """Hold this from `put` until the transaction that refers to the photo has committed."""
        with ExitStack() as held:
            # All pass the turnstile first, so that those who add cannot keep out one who discards for ever.
            with file_lock(self._turnstile):
                held.enter_context(file_lock(self._lock, shared=True))
            yield

    def put(self, data: bytes) -> str:
        """Store a photo durably and return its sha256; a file of it that was cut short is mended. Inside `adding()`."""
        sha256 = sha256_of(data)
        target = self.path(sha256)
        if not _has_size(target, len(data)):
            temporary = self._incoming / uuid.uuid4().hex
            try:
                with temporary.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError:  # a full disk should not hold half a photo as well
                temporary.unlink(missing_ok=True)
                raise
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(target)
        # Also when the file was there: who made it may not have come this far yet.
        for folder in (target.parent, target.parent.parent, self.root):
            _flush_folder(folder)
        return sha256

    def read(self, sha256: str) -> bytes:
        """The photo's bytes.

        Raises:
            PhotoLost: the file is gone or its content changed.
        """
        try:
            data = self.path(sha256).read_bytes()
        except FileNotFoundError:
            raise PhotoLost(
                f"the file of photo {sha256} is not in the store; restore it from a backup", sha256=sha256
            ) from None
        if sha256_of(data) != sha256:
            raise PhotoLost(f"the file of photo {sha256} has changed on disk; restore it from a backup", sha256=sha256)
        return data

    def discard(self, candidates: list[str], referenced: Callable[[list[str]], set[str]]) -> None:
        """Remove those `candidates` that the database no longer refers to, asked under the store's exclusive lock."""
        if not candidates:
            return
        with file_lock(self._turnstile), file_lock(self._lock):
            for sha256 in set(candidates) - referenced(candidates):
                self.path(sha256).unlink(missing_ok=True)

    def stored(self) -> Iterator[str]:
        """Every sha256 in the store, in order."""
        for path in sorted(self.root.glob("??/??/*")):
            yield path.name
