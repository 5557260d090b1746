"""The file that a generation travels in: a zip of few entries, none of them compressed.

    whichone.json     what it is of, and size and sha256 of every other entry
    items.bin         every item and distractor: a line of JSON (`ExportedItem`), then its embedding, views (float32)
                      and local features, as long as the line says
    calibration.json  as in the generation, or absent as there
    adaptation.bin    likewise
    photos.bin        every photo: a line of JSON (`ExportedPhoto`), then its bytes; absent when photos do not travel
    pins.jsonl        every pin (`ExportedPin`); absent when photos do not travel
    queries.bin       every labelled query: a line of JSON (`ExportedQuery`), then its embedding (float32) and local
                      features; absent where there are none

Photos and queries have no numbers here: those belong to one database.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from embedding.errors import InputError
from index.generation import GenerationManifest
from index.generation.manifest import ADAPTATION, CALIBRATION

__all__ = [
    "ADAPTATION",
    "CALIBRATION",
    "EPOCH",
    "ITEMS",
    "MANIFEST",
    "MAX_LINE",
    "PHOTOS",
    "PINS",
    "QUERIES",
    "Entry",
    "ExportInvalid",
    "ExportManifest",
    "ExportedItem",
    "ExportedPhoto",
    "ExportedPin",
    "ExportedQuery",
]

MANIFEST = "whichone.json"
ITEMS = "items.bin"
PHOTOS = "photos.bin"
PINS = "pins.jsonl"
QUERIES = "queries.bin"

MAX_LINE = 4 * 2**20
"""Bytes of a line of JSON: most of it is an item's metadata."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""Of every entry, so that the same generation makes the same file."""

Id = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Moment = Annotated[datetime, AwareDatetime, Field(strict=False)]
Size = Annotated[int, Field(ge=0)]


class ExportInvalid(InputError):
    """A file that is no export, is damaged, or holds what no export holds."""

    code = "export_invalid"


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Entry(_Line):
    """Size in bytes, and sha256, of an entry."""

    bytes: Size
    sha256: Sha256


class ExportManifest(BaseModel):
    """`whichone.json`.

    Attributes:
        gallery, number: of the generation, where it came from.
        generation: its manifest.
        far_budget, unknown_share: of the gallery.
        pipeline: that its calibration was learned with.
        entries: all other entries of the file, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["whichone-export/1"] = "whichone-export/1"
    gallery: str
    number: Annotated[int, Field(ge=1)]
    generation: GenerationManifest
    far_budget: Annotated[float, Field(gt=0, lt=1)]
    unknown_share: Annotated[float, Field(gt=0, lt=1)] | None = None
    pipeline: dict[str, Any]
    entries: dict[
        Literal["items.bin", "calibration.json", "adaptation.bin", "photos.bin", "pins.jsonl", "queries.bin"], Entry
    ]


class ExportedItem(_Line):
    """An item, or a distractor (label ''); `embedding`, `views` and `local` are bytes that follow."""

    id: Id
    kind: Literal["item", "distractor"]
    label: str
    sha256: Sha256
    external_id: str | None
    metadata: dict[str, Any]
    width: Annotated[int, Field(ge=1, lt=2**31)]
    height: Annotated[int, Field(ge=1, lt=2**31)]
    created_at: Moment
    embedding: Size
    views: Size
    local: Size


class ExportedPhoto(_Line):
    """A photo; `bytes` of it follow."""

    sha256: Sha256
    bytes: Size


class ExportedPin(_Line):
    """A pin; its photo is among the photos."""

    sha256: Sha256
    label: str | None


class ExportedQuery(_Line):
    """A labelled query; `embedding` and `local` are bytes that follow. Its photo is kept nowhere.

    Attributes:
        box: the part of the photo that is meant; empty for the whole.
        label: what it shows; None for something without a name.
        learned: whether the generation's calibration knows of it; what was said since then it does not.
    """

    id: Id
    sha256: Sha256
    box: str
    label: str | None
    learned: bool
    created_at: Moment
    embedding: Size
    local: Size
