"""Photos on disk: folders, CSVs that list files, files by name. For a server all of them beneath its import root."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from index.evaluation.protocols.photo_lists import SUFFIXES
from service.jobs.errors import EntryRefused, ImportPathRefused, NoPhotos
from service.jobs.listing import ListedPhoto, Listing, Showing, readable, refused
from service.jobs.table import Row, rows_of

__all__ = ["CsvSource", "FileLimits", "FilesSource", "FolderSource", "beneath"]


@dataclass(frozen=True, slots=True)
class FileLimits:
    """What of the disk may be read.

    Attributes:
        photo_bytes: most of one photo.
        metadata_bytes: most of one photo's metadata.
        root: nothing outside of it is; None where whoever names the files may read them anyway.
    """

    photo_bytes: int
    metadata_bytes: int
    root: Path | None = None

    def require(self, path: Path) -> None:
        """Refuse a path that is outside, or leads there by links.

        Raises:
            EntryRefused.
        """
        if self.root is not None and not _is_below(path.resolve(), self.root.resolve()):
            raise EntryRefused("it is outside of the import root, or a link that leads there; put the file itself here")

    def require_photo(self, path: Path) -> None:
        """Refuse a path that a stranger may not have read: outside of the root, or no photo by its name.

        Raises:
            EntryRefused.
        """
        if self.root is not None and path.suffix.lower() not in SUFFIXES:
            raise EntryRefused(f"by its name it is no photo; would do: {', '.join(sorted(SUFFIXES))}")
        self.require(path)


class _Disk:
    """Reading, which folders and CSVs share; a photo's `place` is its path."""

    def __init__(self, limits: FileLimits) -> None:
        self._limits = limits

    def read(self, photo: ListedPhoto) -> bytes:
        """See `Source`."""
        path = Path(photo.place)
        try:
            self._limits.require(path)
            # Not to wait for whoever would write into a pipe that somebody gave a photo's name.
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(handle, "rb") as file:  # noqa: PTH123  a handle, not a path
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise EntryRefused("it is no file")
                return file.read(self._limits.photo_bytes + 1)
        except (OSError, ValueError) as error:  # a ValueError for a name with a zero in it
            reason = getattr(error, "strerror", None) or "no such name is possible"
            raise EntryRefused(f"{photo.name} cannot be read: {reason}") from error

    def close(self) -> None:
        """Nothing is open between photos."""


class FolderSource(_Disk):
    """A folder with one sub-folder a label, or of photos that all show the same. Hidden files are passed over.

    Args:
        named: how it was called by whoever named it; photos' names begin with it.
    """

    def __init__(self, folder: Path, named: str, limits: FileLimits) -> None:
        super().__init__(limits)
        self._folder = folder
        self._named = named

    def list(self, showing: Showing) -> Listing:
        """See `Source`."""
        listing = Listing()
        try:
            for top in sorted(entry for entry in self._folder.iterdir() if not entry.name.startswith(".")):
                self._list_top(top, showing, listing)
        except OSError as error:
            raise NoPhotos(f"{self._named}: cannot be read: {error.strerror}", path=self._named) from error
        if not any(photo.place for photo in listing.photos):
            advice = "it and its sub-folders" if showing.said else "its sub-folders (one a label)"
            looked_for = ", ".join(sorted(SUFFIXES))
            raise NoPhotos(f"{self._named}: no photos in {advice}; looked for {looked_for}", path=self._named)
        return listing

    def _list_top(self, top: Path, showing: Showing, listing: Listing) -> None:
        if not top.is_dir():
            self._list(top, showing, listing)
            return
        try:
            self._limits.require(top)  # before a look inside: even names would be told in the report
        except EntryRefused as error:
            listing.add(refused(self._name_of(top), error))
            return
        for here, folders, files in os.walk(top, onerror=_fail):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            listing.ignored += sum(Path(here, name).is_symlink() for name in folders)  # not gone into
            for name in sorted(files):
                if not name.startswith("."):
                    self._list(Path(here) / name, showing, listing)

    def _name_of(self, path: Path) -> str:
        return str(Path(self._named, *path.relative_to(self._folder).parts))

    def _list(self, path: Path, showing: Showing, listing: Listing) -> None:
        if path.suffix.lower() not in SUFFIXES:
            listing.ignored += 1
            return
        parts = path.relative_to(self._folder).parts
        name = self._name_of(path)
        label = showing.label if showing.said else parts[0]
        if not showing.said and len(parts) == 1:
            error = EntryRefused("it lies in no sub-folder, so nobody says what it shows: move it into one")
            listing.add(refused(name, error))
            return
        try:
            self._limits.require(path)
        except EntryRefused as error:
            listing.add(refused(name, error))
        else:
            listing.add(ListedPhoto(readable(name), str(path), label))


class CsvSource(_Disk):
    """A CSV of files, whose paths count from its own folder."""

    def __init__(self, path: Path, named: str, limits: FileLimits) -> None:
        super().__init__(limits)
        self._path = path
        self._named = named

    def list(self, showing: Showing) -> Listing:
        """See `Source`."""
        listing = Listing()
        try:
            with self._path.open(encoding="utf-8-sig", newline="") as file:
                for row in rows_of(file, self._named, showing, max_metadata=self._limits.metadata_bytes):
                    listing.add(self._listed(row))
        except OSError as error:
            raise NoPhotos(f"{self._named}: cannot be read: {error.strerror}", path=self._named) from error
        if not listing.photos:
            raise NoPhotos(f"{self._named}: no photo below the header", path=self._named)
        return listing

    def _listed(self, row: Row) -> ListedPhoto:
        name = row.path or f"{self._named}, line {row.line}"
        if row.problem is not None:
            return refused(name, row.problem)
        path = self._path.parent / row.path
        try:
            self._limits.require_photo(path)
        except EntryRefused as error:
            return refused(name, error)
        except (OSError, ValueError):  # no such name is possible: reading it says so
            pass
        shown = name if self._limits.root is not None else str(path)
        return ListedPhoto(readable(shown), str(path), row.label, row.external_id, row.metadata)


class FilesSource(_Disk):
    """Files named one by one: they are taken whatever they are called."""

    def __init__(self, paths: Sequence[Path], limits: FileLimits) -> None:
        super().__init__(limits)
        self._paths = paths

    def list(self, showing: Showing) -> Listing:
        """See `Source`."""
        listing = Listing()
        for path in self._paths:
            if not showing.said:
                raise NoPhotos(
                    f"{path}: what does it show? Say so with --label NAME, or give a folder with one sub-folder "
                    "a label",
                    path=str(path),
                )
            listing.add(ListedPhoto(readable(str(path)), str(path), showing.label))
        return listing


def beneath(root: Path, named: str) -> Path:
    """The file or folder that a caller names beneath the root.

    Raises:
        ImportPathRefused: it is outside, leads outside by a link, or is not there.
    """
    wanted = Path(named)
    if not named or "\0" in named or wanted.is_absolute() or ".." in wanted.parts:
        raise ImportPathRefused(
            f"{readable(named)!r} is not a path beneath the import root; give one like shop/photos, without a slash "
            "before it and without .."
        )
    try:
        path, inside = (root / wanted).resolve(), root.resolve()
        there = path.exists()
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle, or no possible name
        raise ImportPathRefused(f"{readable(named)!r} cannot be looked at beneath the import root") from error
    if not _is_below(path, inside):
        raise ImportPathRefused(f"{readable(named)!r} is a link out of the import root; name what lies in it")
    if not there:
        raise ImportPathRefused(f"there is no {readable(named)!r} beneath the import root")
    return path


def _is_below(path: Path, root: Path) -> bool:
    return path == root or root in path.parents


def _fail(error: OSError) -> None:
    raise error
