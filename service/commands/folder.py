"""The data folder as a command finds it, and the photos that a command line names."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from embedding.errors import InputError
from index.evaluation.protocols.photo_lists import SUFFIXES, photos_below
from service.commands.data_folder import NoDataFolder, require_data_folder
from service.settings import Settings
from service.workspace import Workspace, open_workspace

__all__ = ["SUFFIXES", "NoDataFolder", "NoPhotos", "PhotoFile", "collect", "opened", "photos_below"]


class NoPhotos(InputError):
    """What was named holds no photos, or does not say what they show."""

    code = "no_photos"


@contextmanager
def opened(settings: Settings) -> Iterator[Workspace]:
    """A workspace on a data folder that is there already: looking into a mistyped one must not make it.

    Raises:
        NoDataFolder: there is no such folder.
    """
    require_data_folder(settings)
    with open_workspace(settings) as workspace:
        yield workspace


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """A file to add; label None for a distractor."""

    path: Path
    label: str | None


def collect(paths: Sequence[Path], *, label: str | None, distractors: bool) -> list[PhotoFile]:
    """The photos that a command line names: files, folders, and CSVs with path,label.

    Without a label, a folder has one sub-folder a label, and a CSV says each photo's own. A file that is named itself
    is taken whatever it is called; inside a folder its suffix decides.

    Raises:
        NoPhotos: a path that is not there or holds nothing, or nobody says what a photo shows.
    """
    if label is not None and distractors:
        raise NoPhotos("--label and --distractors exclude each other: a distractor shows nothing of the gallery")
    found = [photo for path in paths for photo in _of_path(path, label, distractors)]
    return list(dict.fromkeys(found))


def _of_path(path: Path, label: str | None, distractors: bool) -> list[PhotoFile]:
    if path.is_dir():
        photos = _of_folder(path, label, distractors)
    elif not path.exists():
        raise NoPhotos(f"{path}: there is no such file or folder", path=str(path))
    elif path.suffix.lower() == ".csv":
        photos = _of_csv(path, label, distractors)
    elif label is None and not distractors:
        raise NoPhotos(
            f"{path}: what does it show? Say so with --label NAME, or give a folder with one sub-folder a label",
            path=str(path),
        )
    else:
        photos = [PhotoFile(path, label)]
    return photos


def _of_folder(folder: Path, label: str | None, distractors: bool) -> list[PhotoFile]:
    if label is not None or distractors:
        photos = [PhotoFile(path, label) for path in photos_below(folder)]
        advice = "it and its sub-folders"
    else:
        subs = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        photos = [PhotoFile(path, sub.name) for sub in subs for path in photos_below(sub)]
        advice = "its sub-folders (one a label; or say --label NAME for the folder itself)"
    if not photos:
        raise NoPhotos(f"{folder}: no photos in {advice}; looked for {', '.join(sorted(SUFFIXES))}", path=str(folder))
    return photos


def _of_csv(path: Path, label: str | None, distractors: bool) -> list[PhotoFile]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            needed = ["path"] if label is not None or distractors else ["path", "label"]
            absent = [column for column in needed if column not in (reader.fieldnames or [])]
            if absent:
                came = ",".join(reader.fieldnames or []) or "nothing"
                raise NoPhotos(f"{path}, line 1: no column {absent[0]!r}; came {came}", path=str(path), line=1)
            return [_of_row(path, reader.line_num, row, label, distractors) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise NoPhotos(f"{path}: cannot be read as a UTF-8 CSV: {error}", path=str(path)) from error


def _of_row(path: Path, line: int, row: dict[str, str | None], label: str | None, distractors: bool) -> PhotoFile:
    name = (row.get("path") or "").strip()
    own = None if distractors else label or (row.get("label") or "").strip()
    if not name or own == "":
        column = "path" if not name else "label"
        raise NoPhotos(f"{path}, line {line}, column {column!r}: it is empty", path=str(path), line=line)
    return PhotoFile(path.parent / name, own)
