"""Photos in a zip, which may come from anybody. Entries are read where they lie: none is unpacked, no name becomes a
path, and what an entry says about its size is not believed."""

from __future__ import annotations

import io
import re
import stat
import zipfile
import zlib
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from index.evaluation.protocols.photo_lists import SUFFIXES
from service.jobs.errors import ArchiveInvalid, EntryRefused, NoPhotos
from service.jobs.listing import ListedPhoto, Listing, Showing, readable, refused
from service.jobs.table import Row, rows_of

__all__ = ["ArchiveLimits", "ArchiveSource"]

MOST_ENTRIES = 100_000
MOST_DIRECTORY = 32 * 2**20
"""Bytes of the archive's own directory, which is read at once: a hundred thousand entries with long names."""

MOST_RATIO = 250
"""An entry of over a megabyte that shrank so many times is no photograph."""

_MOST_TABLE = 64 * 2**20
_TABLES = frozenset({"items.csv", "labels.csv"})
_ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst", ".jar"})
_DRIVE = re.compile(r"[A-Za-z]:")
_UTF8, _ENCRYPTED, _STRONG, _MASKED = 0x800, 0x1, 0x40, 0x2000
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """Most bytes of one photo, of all entries together, and of one photo's metadata."""

    photo_bytes: int
    total_bytes: int
    metadata_bytes: int


class _Bounded(io.BufferedReader):
    """A file of which nobody reads more at once than an archive's directory may have: `zipfile` believes its size."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            data = super().read(MOST_DIRECTORY + 1)
        elif size > MOST_DIRECTORY:
            raise zipfile.BadZipFile("its directory is too large")
        else:
            data = super().read(size)
        if len(data) > MOST_DIRECTORY:
            raise zipfile.BadZipFile("its directory is too large")
        return data


class ArchiveSource:
    """A zip on disk: the first folder of an entry's name is its label, or a table in it (items.csv, labels.csv) says.

    Args:
        named: how its sender called it.

    Raises:
        ArchiveInvalid: it cannot be opened, or has more entries or bytes than an import may.
    """

    def __init__(self, path: Path, named: str, limits: ArchiveLimits) -> None:
        self._named = readable(named, 100)
        self._limits = limits
        self._file = _Bounded(io.FileIO(path))
        try:
            self._zip = zipfile.ZipFile(self._file)
            self._entries = self._zip.infolist()
            self._require_size()
        except BaseException as error:
            self._file.close()
            if isinstance(error, _UNREADABLE):
                raise ArchiveInvalid(
                    f"{self._named} cannot be read as a zip: it is none, was cut short or is damaged; make it anew "
                    "(zip -r photos.zip .) and send it again"
                ) from error
            raise

    def close(self) -> None:
        """See `Source`."""
        self._zip.close()
        self._file.close()

    def read(self, photo: ListedPhoto) -> bytes:
        """See `Source`."""
        return self._read(self._entries[int(photo.place)], self._limits.photo_bytes + 1)

    def list(self, showing: Showing) -> Listing:
        """See `Source`."""
        listing = Listing()
        photos, tables = self._sort_out(listing)
        if len(tables) > 1:
            names = ", ".join(sorted(str(path) for path in tables))
            raise ArchiveInvalid(f"{self._named} has several tables ({names}); leave one of them")
        if tables:
            [(path, number)] = tables.items()
            self._list_table(path, number, photos, showing, listing)
        else:
            self._list_folders(photos, showing, listing)
        if not listing.photos:
            raise NoPhotos(
                f"{self._named}: no photos in it; looked for {', '.join(sorted(SUFFIXES))}", ignored=listing.ignored
            )
        return listing

    def _require_size(self) -> None:
        if len(self._entries) > MOST_ENTRIES:
            raise ArchiveInvalid(
                f"{self._named} has {len(self._entries)} entries; up to {MOST_ENTRIES} will do: send several archives",
                limit=MOST_ENTRIES,
            )
        total = sum(entry.file_size for entry in self._entries)
        if total > self._limits.total_bytes:
            raise ArchiveInvalid(
                f"{self._named} says that it holds {total} bytes unpacked; up to {self._limits.total_bytes} will do: "
                "send several archives",
                limit=self._limits.total_bytes,
            )

    def _sort_out(self, listing: Listing) -> tuple[dict[PurePosixPath, int], dict[PurePosixPath, int]]:
        """The photos and the tables, by name, and where they are; entries that may not be used go to the listing."""
        photos: dict[PurePosixPath, int] = {}
        tables: dict[PurePosixPath, int] = {}
        for number, entry in enumerate(self._entries):
            name = _name_of(entry)
            parts = [part for part in name.split("/") if part not in {"", "."}]
            if name.endswith("/") and not entry.file_size:  # a folder
                continue
            try:
                _require_harmless(entry, name, parts)
                path = PurePosixPath(*parts)
                if any(part.startswith((".", "__MACOSX")) for part in parts):
                    listing.ignored += 1
                elif path.name in _TABLES and len(parts) <= 2:
                    tables[path] = number
                elif _is_photo(entry, path):
                    _require_new(path, photos)
                    photos[path] = number
                else:
                    listing.ignored += 1
            except EntryRefused as error:
                listing.add(refused(name, error))
        return photos, tables

    def _list_folders(self, photos: dict[PurePosixPath, int], showing: Showing, listing: Listing) -> None:
        if not showing.said:
            _require_labels(self._named, photos)
        for path, number in photos.items():
            if not showing.said and len(path.parts) == 1:
                error = EntryRefused("it lies in no folder, so nobody says what it shows: name the folder by the label")
                listing.add(refused(str(path), error))
            else:
                label = showing.label if showing.said else path.parts[0]
                listing.add(ListedPhoto(readable(str(path)), str(number), label))

    def _list_table(
        self, table: PurePosixPath, number: int, photos: dict[PurePosixPath, int], showing: Showing, listing: Listing
    ) -> None:
        try:
            _require_method(self._entries[number])
            data = self._read(self._entries[number], _MOST_TABLE + 1)
        except EntryRefused as error:
            raise ArchiveInvalid(f"{self._named}, {table}: {error.message}") from error
        if len(data) > _MOST_TABLE:
            raise ArchiveInvalid(f"{self._named}, {table}: it may have {_MOST_TABLE} bytes", limit=_MOST_TABLE)
        text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")
        named = set()
        for row in rows_of(text, str(table), showing, max_metadata=self._limits.metadata_bytes):
            path = table.parent / row.path.replace("\\", "/")
            named.add(path)
            listing.add(self._listed(row, table, path, photos))
        listing.ignored += len(photos.keys() - named)

    def _listed(
        self, row: Row, table: PurePosixPath, path: PurePosixPath, photos: dict[PurePosixPath, int]
    ) -> ListedPhoto:
        name = row.path or f"{table}, line {row.line}"
        if row.problem is not None:
            return refused(name, row.problem)
        if path not in photos:
            return refused(name, EntryRefused(f"{table}, line {row.line}: the archive has no such photo"))
        return ListedPhoto(readable(name), str(photos[path]), row.label, row.external_id, row.metadata)

    def _read(self, entry: zipfile.ZipInfo, most: int) -> bytes:
        """So much of an entry; its checksum is looked at if that is all of it."""
        try:
            with self._zip.open(entry) as file:
                return file.read(most)
        except _UNREADABLE as error:
            raise EntryRefused(
                "it is damaged: what it unpacks to is not what the archive says; pack it again"
            ) from error


def _name_of(entry: zipfile.ZipInfo) -> str:
    """As its writer meant it: many write UTF-8 without saying so, some write backslashes."""
    name = entry.orig_filename
    if not entry.flag_bits & _UTF8:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode()
    return name.replace("\\", "/")


def _require_harmless(entry: zipfile.ZipInfo, name: str, parts: list[str]) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if "\0" in name or name.startswith("/") or _DRIVE.match(name) or ".." in parts or not parts:
        raise EntryRefused("its name leads out of the archive; names are relative, without ..")
    if kind not in {0, stat.S_IFREG}:
        raise EntryRefused("it is a link or no ordinary file; put the file itself in")
    if entry.flag_bits & (_ENCRYPTED | _STRONG | _MASKED):
        raise EntryRefused("it is encrypted; pack it without a password")


def _is_photo(entry: zipfile.ZipInfo, path: PurePosixPath) -> bool:
    """Whether it is one by its name.

    Raises:
        EntryRefused: it is an archive, or packed as no photo would be.
    """
    suffix = path.suffix.lower()
    if suffix in _ARCHIVES:
        raise EntryRefused("archives in archives are not looked into; send it by itself")
    if suffix not in SUFFIXES:
        return False
    _require_method(entry)
    if entry.file_size > 2**20 and entry.file_size > MOST_RATIO * max(entry.compress_size, 1):
        raise EntryRefused(
            f"it would unpack to {entry.file_size} bytes, over {MOST_RATIO} times its size; that is no photograph"
        )
    return True


def _require_method(entry: zipfile.ZipInfo) -> None:
    # Of these two alone `zipfile` unpacks no more than it is asked for.
    if entry.compress_type not in _METHODS:
        raise EntryRefused("it is compressed in a way that is not read here; pack it with deflate, as zip does")


def _require_new(path: PurePosixPath, photos: Collection[PurePosixPath]) -> None:
    if path in photos:
        raise EntryRefused("another entry before it has the same name")


def _require_labels(named: str, photos: dict[PurePosixPath, int]) -> None:
    """Refuse what `zip -r photos.zip photos` makes: nobody could say whether the one folder is the label."""
    tops = {path.parts[0] for path in photos}
    below = {path.parts[1] for path in photos if len(path.parts) > 2}
    if len(tops) == 1 and len(below) > 1 and all(len(path.parts) > 2 for path in photos):
        [top] = tops
        raise ArchiveInvalid(
            f"{named}: all photos lie in folders of one folder, {readable(top, 60)!r}, and it cannot be told which of "
            f"them are the labels; pack from inside of it (cd FOLDER; zip -r ../photos.zip .), or add an items.csv "
            "with path,label"
        )
