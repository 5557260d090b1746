"""What a caller asks: photos and options of `POST /recognize` and `POST /recognize/batch`, however they were sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from embedding.images import Box
from index.filter import Filter
from index.search_inside import SEARCHES, Search
from service.errors import FieldInvalid
from service.forms import Base64Source, Form, content_type, json_object, read_form
from service.gallery.enrolment import PhotoSource
from service.recognition.filtering import FILTER_SCHEMA, filter_of, parsed
from service.recognition.service import MAX_TOP_K, search_of

__all__ = ["BATCH_BODY", "BODY", "Asked", "Options", "asked", "asked_of_several"]

_DEFAULT_TOP_K = 5
_MAX_TEXT = 256 * 2**10  # a thousand long labels
_SHARED_SCHEMA: dict[str, Any] = {
    "top_k": {"type": "integer", "minimum": 1, "maximum": MAX_TOP_K, "default": _DEFAULT_TOP_K},
    "explain": {
        "type": "boolean",
        "default": False,
        "description": "Tell more about each matched gallery photo, and give a receipt.",
    },
    "search": {
        "type": "string",
        "enum": list(SEARCHES),
        "default": SEARCHES[0],
        "description": "`inside` asks about five parts of the photo (or of `box`) as well: its middle and its corners, "
        "three fifths of each side. For things that are small in a cluttered photo. It costs five more embeddings, so "
        "about six times as long. A part answers in place of the whole when it is known even as one of six questions: "
        "a confidence of 0.99 then counts as 1 - 6 * 0.01. Where nothing is known, the part with the nearest candidate "
        "tells it.",
    },
    **FILTER_SCHEMA,
}
_SCHEMA: dict[str, Any] = {
    "box": {
        "type": "string",
        "description": "x0,y0,x1,y1 of the region to look at, in pixels of the upright photo, or all four within 0..1.",
    },
    **_SHARED_SCHEMA,
}
_FILE = {"type": "string", "format": "binary"}


def _content(field: str, of_field: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    return {
        "schema": {
            "type": "object",
            "required": [field],
            "additionalProperties": False,
            "properties": {field: of_field, **options},
        }
    }


BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": _content("image", _FILE, _SCHEMA),
            "application/json": _content("image_base64", {"type": "string", "format": "byte"}, _SCHEMA),
        },
    }
}
BATCH_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": _content("images", {"type": "array", "minItems": 1, "items": _FILE}, _SHARED_SCHEMA)
        },
    }
}


@dataclass(frozen=True, slots=True)
class Options:
    """How to answer: the arguments of `RecognitionService.recognize` beside gallery and photo."""

    box: Box | None
    top_k: int
    explain: bool
    search: Search
    wanted: Filter | None

    @classmethod
    def of(cls, given: Mapping[str, object]) -> Options:
        """From the members of JSON, or from a form's texts.

        Raises:
            FieldInvalid, InvalidLabel, BoxError: names the field.
        """
        return cls(
            _box(given["box"]) if "box" in given else None,
            _top_k(given.get("top_k", _DEFAULT_TOP_K)),
            _flag(given.get("explain", False)),
            search_of(str(given.get("search", SEARCHES[0]))),
            filter_of(given.get("labels"), given.get("where")),
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """Photos, to be read in the thread that decodes them, and how to answer."""

    photos: Sequence[PhotoSource]
    options: Options


@asynccontextmanager
async def asked(request: Request) -> AsyncIterator[Asked]:
    """The question of `POST /recognize`; its photo can be read within the block.

    Raises:
        what `service.forms` raises; FieldInvalid, InvalidLabel, BoxError.
    """
    if content_type(request) == "application/json":
        body = await json_object(request, known=("image_base64", *_SCHEMA))
        photo = Base64Source.of(body, "image_base64")
        yield Asked([photo], Options.of({name: body[name] for name in _SCHEMA if body.get(name) is not None}))
        return
    async with read_form(
        request, required=("image",), optional=tuple(_SCHEMA), most_photos=1, max_text=_MAX_TEXT
    ) as form:
        yield Asked(form.photos("image", most=1), _options_of(form, _SCHEMA))


@asynccontextmanager
async def asked_of_several(request: Request, most: int) -> AsyncIterator[Asked]:
    """The questions of `POST /recognize/batch`, as `asked`.

    Args:
        most: photos that may come.

    Raises: see `asked`.
    """
    async with read_form(
        request, required=("images",), optional=tuple(_SHARED_SCHEMA), most_photos=most, max_text=_MAX_TEXT
    ) as form:
        yield Asked(form.photos("images", most=most), _options_of(form, _SHARED_SCHEMA))


def _options_of(form: Form, names: Mapping[str, Any]) -> Options:
    texts = {name: text for name in names if (text := form.text(name)) is not None}
    return Options.of({name: parsed(text, name) if name in FILTER_SCHEMA else text for name, text in texts.items()})


def _box(value: object) -> Box:
    if isinstance(value, list):
        value = ",".join(map(str, value))
    if not isinstance(value, str):
        raise FieldInvalid("`box` must be x0,y0,x1,y1", field="box", got=repr(value)[:60])
    return Box.parse(value)


def _top_k(value: object) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_TOP_K):
        raise FieldInvalid(
            f"`top_k` must be a whole number from 1 to {MAX_TOP_K}; got {text[:40]!r}", field="top_k", limit=MAX_TOP_K
        )
    return int(text)


def _flag(value: object) -> bool:
    flags = {"true": True, "1": True, "false": False, "0": False}
    text = str(value).strip().lower()
    if text not in flags:
        raise FieldInvalid(f"`explain` must be true or false; got {text[:40]!r}", field="explain")
    return flags[text]
