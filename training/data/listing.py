"""The photos to train on: from a CSV or Parquet file, a folder tree, or a public set as downloaded."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from embedding.box import Box
from embedding.image_errors import BoxError
from index.evaluation.datasets import humpback_whale, reader_named
from index.evaluation.protocols.photo_lists import PlacedPhoto, read_photos
from training.data.tables import rows_of
from training.errors import PhotosUnusable

__all__ = ["Part", "Pose", "TrainingPhoto", "read_listing"]

Part: TypeAlias = Literal["train", "val", "test", ""]
"""What a list itself says a photo is for; nothing where it does not say."""

Pose: TypeAlias = Literal["as_it_is", "turned_90", "turned_180", "turned_270", "mirrored"]
"""Which way up a photo is shown (`training.data.posed`)."""

_PARTS: tuple[str, ...] = get_args(Part)


@dataclass(frozen=True)
class TrainingPhoto:
    """A photo, or a region of one, and what it shows.

    Attributes:
        path: where the file lies; it is not opened here.
        name: the path as listed: draws go by it, so that they stay when the tree moves.
        label: empty where it shows nothing that has a label (a stranger, the whale challenge's `new_whale`).
        part: as the list says.
        box: the region to look at, in pixels of the upright photo or as shares of its sides; all of it if None.
        weight: of the photo in the loss; positive.
        where: "photos.csv, line 7", for messages.
        pose: which way up it is shown.
    """

    path: Path
    name: str
    label: str
    part: Part = ""
    box: Box | None = None
    weight: float = 1.0
    where: str = ""
    pose: Pose = "as_it_is"


def read_listing(source: str | Path) -> list[TrainingPhoto]:
    """All photos of a source, in its own order.

    Args:
        source: a CSV or Parquet file with the columns path,label and optionally split (train, val or test), box
            ("x0,y0,x1,y1") and weight, paths relative to its folder; a folder with one sub-folder a label; or
            "READER:FOLDER" for a public set, such as "humpback-whale:data/whales" (`index.evaluation.datasets`).

    Raises:
        PhotosUnusable: a cell that cannot be used (the message names line and column), a photo listed twice, no photo.
        UnknownDataset: no reader has this name.
        ManifestInvalid: no such file or folder, or not of this layout.
    """
    text = str(source)
    reader, colon, folder = text.partition(":")
    if colon and not Path(text).exists():
        photos = _of_public_set(reader, Path(folder))
    elif Path(source).is_dir():
        photos = _of_folder(Path(source))
    else:
        photos = _of_table(Path(source))
    if not photos:
        raise PhotosUnusable(f"{source}: it lists no photo", source=text)
    _refuse_twice(photos)
    return photos


def _of_public_set(name: str, folder: Path) -> list[TrainingPhoto]:
    """Official parts: what is enrolled trains; what is asked about tests if others calibrate, else validates."""
    placed = reader_named(name).read(folder)
    tested = any(one.role == "calibrate" for one in placed)
    return [_as_training(one, tested, strangers=name == "humpback-whale") for one in placed]


def _as_training(placed: PlacedPhoto, tested: bool, *, strangers: bool) -> TrainingPhoto:
    parts: Mapping[str, Part] = {
        "gallery": "train",
        "distractor": "train",
        "calibrate": "val",
        "query": "test" if tested else "val",
    }
    photo = placed.photo
    label = "" if strangers and photo.label == humpback_whale.NEW else photo.label
    return TrainingPhoto(photo.path, photo.name, label, parts[placed.role], where=str(photo.path))


def _of_folder(folder: Path) -> list[TrainingPhoto]:
    below = {path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")}
    if "train" in below and below & {"val", "test"}:
        raise PhotosUnusable(
            f"{folder} holds {' and '.join(sorted(below & set(_PARTS)))}, which look like parts and not like labels; "
            f"say class-folders:{folder} to read one label a folder in each",
            source=str(folder),
        )
    return [TrainingPhoto(one.path, one.name, one.label, where=str(one.path)) for one in read_photos(folder)]


def _of_table(path: Path) -> list[TrainingPhoto]:
    return [_listed(path.parent, where, row) for where, row in rows_of(path, ("path", "label"))]


def _listed(folder: Path, where: str, row: Mapping[str, str]) -> TrainingPhoto:
    if not row["path"]:
        raise _cell(where, "path", "", "the photo's path, relative to this list")
    if "role" in row and "split" not in row:
        raise PhotosUnusable(
            f"{where}: with a column 'role' this is a manifest for whichone evaluate, whose queries must not be "
            "trained on; give a list with a column 'split' (train, val or test)",
            where=where,
        )
    return TrainingPhoto(
        folder / row["path"],
        row["path"],
        row["label"],
        _part(where, row.get("split", "")),
        _box(where, row.get("box", "")),
        _weight(where, row.get("weight", "")),
        where,
    )


def _part(where: str, text: str) -> Part:
    if text in _PARTS:
        return text  # type: ignore[return-value]
    close = difflib.get_close_matches(text.lower(), _PARTS, n=1)
    raise _cell(where, "split", text, "train, val, test or nothing" + (f" (did you mean {close[0]}?)" if close else ""))


def _box(where: str, text: str) -> Box | None:
    try:
        return Box.parse(text) if text else None
    except BoxError as error:
        raise PhotosUnusable(f"{where}, column 'box': {error.message}", where=where, column="box") from error


def _weight(where: str, text: str) -> float:
    if not text:
        return 1.0
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not (math.isfinite(weight) and weight > 0):
        raise _cell(where, "weight", text, "a positive number, or nothing for 1")
    return weight


def _cell(where: str, column: str, came: str, would_do: str) -> PhotosUnusable:
    return PhotosUnusable(
        f"{where}, column {column!r}: came {came!r}; what would do: {would_do}", where=where, column=column, value=came
    )


def _refuse_twice(photos: Sequence[TrainingPhoto]) -> None:
    seen: dict[tuple[str, Box | None], TrainingPhoto] = {}
    for photo in photos:
        first = seen.setdefault((photo.name, photo.box), photo)
        if first is not photo:
            raise PhotosUnusable(
                f"{photo.where}: {photo.name} is listed twice, first at {first.where}; take one line out, or give each "
                "its own box",
                name=photo.name,
            )
