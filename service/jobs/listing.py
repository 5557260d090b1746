"""What an import is to add, photo by photo, in a fixed order. A job keeps it in a file, to go on where it was."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from embedding.errors import InputError, WhichoneError
from service.jobs.errors import JobFilesGone, NoPhotos

__all__ = [
    "MOST_PHOTOS",
    "ListedPhoto",
    "Listing",
    "Refusal",
    "Showing",
    "Source",
    "readable",
    "read_listing",
    "refused",
    "write_listing",
]

MOST_PHOTOS = 1_000_000
"""Of one import."""

_MOST_NAME = 300
_MOST_MESSAGE = 1000


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a photo is not added: an error's code and sentence."""

    code: str
    message: str

    @classmethod
    def of(cls, error: WhichoneError) -> Refusal:
        """An error as a report keeps it."""
        return cls(error.code, readable(error.message, _MOST_MESSAGE))


@dataclass(frozen=True, slots=True)
class ListedPhoto:
    """A photo to add.

    Attributes:
        name: for people: as its archive, folder or CSV calls it.
        place: for its source, which alone knows what it means.
        label: None for a distractor.
        refusal: set where it is known already that it cannot be added.
    """

    name: str
    place: str
    label: str | None = None
    external_id: str | None = None
    metadata: dict[str, Any] | None = None
    refusal: Refusal | None = None


@dataclass(slots=True)
class Listing:
    """Photos in the order in which they are added; `ignored` files beside them are no photos, by their names."""

    photos: list[ListedPhoto] = field(default_factory=list)
    ignored: int = 0

    def add(self, photo: ListedPhoto) -> None:
        """Add a photo.

        Raises:
            NoPhotos: there are more than one import takes.
        """
        if len(self.photos) >= MOST_PHOTOS:
            raise NoPhotos(f"one import takes up to {MOST_PHOTOS} photos; make several of it", limit=MOST_PHOTOS)
        self.photos.append(photo)


@dataclass(frozen=True, slots=True)
class Showing:
    """What the caller says that all of the photos show: `label`, or nothing of the gallery; else each says its own."""

    label: str | None = None
    distractors: bool = False

    def __post_init__(self) -> None:
        if self.label is not None and self.distractors:
            raise NoPhotos("--label and --distractors exclude each other: a distractor shows nothing of the gallery")

    @property
    def said(self) -> bool:
        """Whether the caller says it."""
        return self.distractors or self.label is not None


class Source(Protocol):
    """Where an import's photos lie. Thread-safe but for `list`."""

    def list(self, showing: Showing) -> Listing:
        """Everything there is to add.

        Raises:
            NoPhotos, ArchiveInvalid: nothing, or nothing that can be understood.
        """
        ...

    def read(self, photo: ListedPhoto) -> bytes:
        """A photo's bytes; at most one more than a photo may have, for the decoder to refuse.

        Raises:
            EntryRefused: it is not there, cannot be read, or may not be.
        """
        ...

    def close(self) -> None:
        """Give its files back."""
        ...


def refused(name: str, error: InputError) -> ListedPhoto:
    """A photo that cannot be added, as is known without reading it."""
    return ListedPhoto(readable(name), "", refusal=Refusal.of(error))


def readable(text: str, most: int = _MOST_NAME) -> str:
    """A stranger's text for a report: without what no database or terminal would take, and cut in its middle."""
    kept = "".join("\ufffd" if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} else char for char in text)
    half = most // 2 - 2
    return kept if len(kept) <= most else f"{kept[:half]} … {kept[-half:]}"


def write_listing(path: Path, listing: Listing) -> None:
    """Write a listing durably, whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="ascii") as file:
        for photo in listing.photos:
            file.write(json.dumps({name: value for name, value in asdict(photo).items() if value is not None}) + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_listing(path: Path, start: int) -> Iterator[ListedPhoto]:
    """The photos of a written listing, from place `start` on.

    Raises:
        JobFilesGone: it is not there.
    """
    try:
        with path.open(encoding="ascii") as file:
            for line in islice(file, start, None):
                body = json.loads(line)
                refusal = body.pop("refusal", None)
                yield ListedPhoto(**body, refusal=None if refusal is None else Refusal(**refusal))
    except FileNotFoundError:
        raise JobFilesGone(
            "the list of the photos to import is gone from the data folder; import them again: those that are in the "
            "gallery are found there, and not embedded a second time"
        ) from None
