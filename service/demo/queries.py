"""The demo's queries: real second photographs, and simulated re-photographs."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image

from embedding.images import decode
from embedding.rephotograph import rephotograph
from service.demo.photos import DemoPhoto, DemoSet

__all__ = ["Query", "make_queries"]

Kind = Literal["real", "simulated"]
SHOTS_OF_KNOWN = 3
SHOTS_OF_STRANGERS = 2


@dataclass(frozen=True)
class Query:
    """A photo to ask about.

    Attributes:
        path: the file, for people who want to ask again.
        shows: what it shows.
        known: whether that is enrolled.
        kind: a real photograph, or a simulated re-photograph of one.
    """

    path: Path
    shows: str
    known: bool
    kind: Kind

    @property
    def truth(self) -> str | None:
        """The right answer: a label, or None for unknown."""
        return self.shows if self.known else None


def make_queries(photos: DemoSet, folder: Path, progress: Callable[[str, int, int], None] | None = None) -> list[Query]:
    """Write the simulated queries into `folder` and list all queries. The same set gives the same queries."""
    folder.mkdir(parents=True, exist_ok=True)
    plans = list(_plans(photos))
    queries = []
    for done, (photo, known, shot) in enumerate(plans, 1):
        queries.append(_query(photo, known, shot, folder))
        if progress:
            progress("re-photographing", done, len(plans))
    return queries


def _plans(photos: DemoSet) -> Iterator[tuple[DemoPhoto, bool, int]]:
    """(photo, whether it is enrolled, shot): shot 0 is the photograph itself."""
    for photo in photos.only_one:
        for shot in range(1, SHOTS_OF_KNOWN + 1):
            yield photo, True, shot
    for photo in photos.held_out:
        yield photo, True, 0
    for photo in photos.strangers:
        for shot in range(SHOTS_OF_STRANGERS + 1):
            yield photo, False, shot


def _query(photo: DemoPhoto, known: bool, shot: int, folder: Path) -> Query:
    if shot == 0:
        return Query(photo.path, photo.label, known, "real")
    path = folder / f"{photo.name}-{shot}.jpg"
    image = rephotograph(decode(photo.path.read_bytes()), seed=_seed(photo.name, shot))
    path.write_bytes(_jpeg(image))
    return Query(path, photo.label, known, "simulated")


def _seed(name: str, shot: int) -> int:
    # Python's own hash changes from run to run.
    return zlib.crc32(f"{name}/{shot}".encode())


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()
