"""Reading an export, which may come from anybody: nothing of it is used before all of it was checked."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, TypeVar

from pydantic import BaseModel, ValidationError

from service.gallery.export_format import (
    ADAPTATION,
    CALIBRATION,
    ITEMS,
    MANIFEST,
    MAX_LINE,
    PHOTOS,
    PINS,
    QUERIES,
    ExportedPhoto,
    ExportInvalid,
    ExportManifest,
)

__all__ = ["ExportArchive"]

_BLOCK = 1 << 20
_MAX_MANIFEST = 1 << 20
_MAX_SMALL = 256 << 20
"""Bytes of an entry that is read at once: an adaptation has a few square matrices."""

_MAX_RECORD = 1 << 30
_BESIDE = {CALIBRATION, ADAPTATION, PHOTOS, PINS, QUERIES}

Record = TypeVar("Record", bound=BaseModel)


class ExportArchive:
    """An export on disk. Entries are read where they lie: none is unpacked, and no name in it becomes a path.

    Raises:
        ExportInvalid: it cannot be opened, is no zip, or has entries that an export has not.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        try:
            self._size = path.stat().st_size
            self._zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no zip, or was cut short"
            raise ExportInvalid(f"{path} is no export: {reason}", path=str(path)) from error
        try:
            self.manifest = self._checked()
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> ExportArchive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def verify(self) -> None:
        """Check every entry against its sha256.

        Raises:
            ExportInvalid: names the entry.
        """
        for name, entry in self.manifest.entries.items():
            digest = hashlib.sha256()
            with self._opened(name) as file:
                while block := self._read(file, name, _BLOCK):
                    digest.update(block)
            if digest.hexdigest() != entry.sha256:
                raise self._invalid(f"{name} is not the entry that {MANIFEST} describes; copy the file again")

    def read(self, name: str) -> bytes:
        """A small entry."""
        if self.manifest.entries[name].bytes > _MAX_SMALL:  # type: ignore[index]  # a KeyError for any other
            raise self._invalid(f"{name} is larger than {_MAX_SMALL} bytes")
        with self._opened(name) as file:
            return self._read(file, name, _MAX_SMALL)

    def photos(self) -> Iterator[tuple[str, bytes]]:
        """Every photo's sha256 and bytes; none where photos did not travel."""
        for photo, read in self.records(PHOTOS, ExportedPhoto):
            data = read(photo.bytes)
            if hashlib.sha256(data).hexdigest() != photo.sha256:
                raise self._invalid(f"photo {photo.sha256} has other bytes than its sha256 says")
            yield photo.sha256, data

    def lines(self, name: str, kind: type[Record]) -> Iterator[Record]:
        """The records of an entry of lines; none where there is no such entry."""
        for record, _ in self.records(name, kind):
            yield record

    def records(self, name: str, kind: type[Record]) -> Iterator[tuple[Record, Callable[[int], bytes]]]:
        """The records of an entry, and how to read the bytes that follow each of them, all of which must be read.

        Raises:
            ExportInvalid: a line or bytes that are not as they should be.
        """
        if name not in self.manifest.entries:
            return
        with self._opened(name) as file:

            def read(size: int) -> bytes:
                data = self._read(file, name, size) if 0 <= size <= _MAX_RECORD else b""
                if len(data) != size:
                    raise self._invalid(f"{name} ends in the middle of a record, or has one that is too large")
                return data

            while line := self._line(file, name):
                try:
                    record = kind.model_validate_json(line)
                except ValidationError as error:
                    fault = error.errors()[0]
                    where = ".".join(map(str, fault["loc"])) or "a line"
                    raise self._invalid(f"{name}: {where}: {fault['msg']}") from error
                yield record, read

    def _line(self, file: IO[bytes], name: str) -> bytes:
        try:
            line = file.readline(MAX_LINE)
        except (zipfile.BadZipFile, EOFError, OSError) as error:
            raise self._invalid(f"{name} is damaged; copy the file again") from error
        if line and not line.endswith(b"\n"):
            raise self._invalid(f"{name} has a line that does not end within {MAX_LINE} bytes")
        return line

    def _read(self, file: IO[bytes], name: str, size: int) -> bytes:
        try:
            return file.read(size)
        except (zipfile.BadZipFile, EOFError, OSError) as error:
            raise self._invalid(f"{name} is damaged; copy the file again") from error

    def _opened(self, name: str) -> IO[bytes]:
        try:
            return self._zip.open(name)
        except (zipfile.BadZipFile, OSError, ValueError, RuntimeError) as error:
            raise self._invalid(f"{name} is damaged; copy the file again") from error

    def _checked(self) -> ExportManifest:
        infos = {info.filename: info for info in self._zip.infolist()}
        if MANIFEST not in infos or infos[MANIFEST].file_size > _MAX_MANIFEST:
            raise self._invalid(f"it has no {MANIFEST}")
        if len(infos) < len(self._zip.infolist()):
            raise self._invalid("it has two entries of one name")
        for name, info in infos.items():
            if name not in {MANIFEST, ITEMS, *_BESIDE}:
                raise self._invalid(f"it has an entry {name[:60]!r}, which no export has")
            if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or info.flag_bits & 1:
                raise self._invalid(f"{name} is compressed or encrypted, which no entry of an export is")
        if sum(info.file_size for info in infos.values()) > self._size:
            raise self._invalid("its entries lie one over the other")
        with self._opened(MANIFEST) as file:
            text = self._read(file, MANIFEST, _MAX_MANIFEST)
        try:
            manifest = ExportManifest.model_validate_json(text)
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(map(str, fault["loc"]))
            raise self._invalid(f"{MANIFEST} is not what this version writes: {where}: {fault['msg']}") from error
        there = {name: info.file_size for name, info in infos.items() if name != MANIFEST}
        if there != {name: entry.bytes for name, entry in manifest.entries.items()} or ITEMS not in there:
            raise self._invalid(f"its entries are not those that {MANIFEST} describes, or not of their size")
        return manifest

    def _invalid(self, why: str) -> ExportInvalid:
        return ExportInvalid(f"{self.name} is no export that can be used: {why}", file=self.name)
