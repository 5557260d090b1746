"""Request bodies: multipart forms and JSON, read within limits, with errors that name the field."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from service.errors import (
    FieldInvalid,
    FieldMissing,
    FieldTooLarge,
    FieldUnknown,
    MalformedBody,
    TooManyImages,
    UnsupportedBody,
)

__all__ = ["Form", "Base64Source", "UploadSource", "content_type", "json_object", "label_or_unknown", "read_form"]

_MAX_FIELDS = 32
_LONG = 64 * 2**10  # bytes of JSON whose parsing would hold up other requests


@dataclass(frozen=True, slots=True)
class UploadSource:
    """An uploaded photo; small ones are in memory, large ones in a temporary file."""

    upload: UploadFile

    @property
    def name(self) -> str:
        return (self.upload.filename or "photo")[:100]

    def read(self) -> bytes:
        self.upload.file.seek(0)
        return self.upload.file.read()


@dataclass(frozen=True, slots=True)
class Base64Source:
    """A photo in a member of a JSON body, with or without a `data:` prefix."""

    name: str
    text: str

    @classmethod
    def of(cls, body: dict[str, Any], name: str) -> Base64Source:
        """The member `name` of the body.

        Raises:
            FieldMissing, FieldInvalid: it did not come, or is no text.
        """
        if name not in body:
            raise _missing(name, list(body))
        if not isinstance(body[name], str):
            raise FieldInvalid(f"`{name}` must be a string of base64", field=name)
        return cls(name, body[name])

    def read(self) -> bytes:
        """The bytes.

        Raises:
            FieldInvalid: it is not base64.
        """
        text = self.text.partition(",")[2] if self.text.startswith("data:") else self.text
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            message = f"`{self.name}` is not base64: {error}; send it in one piece, without line breaks (base64 -w0)"
            raise FieldInvalid(message, field=self.name) from error


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart form whose field names were checked."""

    data: FormData

    def text(self, name: str) -> str | None:
        """A text field, None if it did not come.

        Raises:
            FieldInvalid: it came as a file, or twice.
        """
        values = self.data.getlist(name)
        if not values:
            return None
        if len(values) > 1:
            raise FieldInvalid(f"field `{name}` came {len(values)} times; send it once", field=name)
        if not isinstance(values[0], str):
            raise FieldInvalid(f"field `{name}` came as a file; send it as text", field=name)
        return values[0]

    def required_text(self, name: str) -> str:
        """A text field.

        Raises:
            FieldMissing: it did not come; names what did.
        """
        value = self.text(name)
        if value is None:
            raise self._missing(name)
        return value

    def photos(self, name: str, *, most: int) -> list[UploadSource]:
        """One or more files.

        Raises:
            FieldMissing, TooManyImages; FieldInvalid: it came as text.
        """
        values = self.data.getlist(name)
        if not values:
            raise self._missing(name)
        if len(values) > most:
            raise too_many_images(most, name)
        sources = [UploadSource(value) for value in values if isinstance(value, UploadFile)]
        if len(sources) < len(values):
            raise FieldInvalid(
                f"field `{name}` came as text; send it as a file (curl: -F {name}=@photo.jpg)", field=name
            )
        return sources

    def label_or_unknown(self, subject: str) -> str | None:
        """See the function of this name."""
        names = ("label", "unknown")
        return label_or_unknown({name: text for name in names if (text := self.text(name)) is not None}, subject)

    def _missing(self, name: str) -> FieldMissing:
        return _missing(name, list(self.data.keys()))


def _missing(name: str, came: Sequence[str]) -> FieldMissing:
    got = ", ".join(f"`{other[:40]}`" for other in list(dict.fromkeys(came))[:8]) or "no field at all"
    return FieldMissing(f"field `{name}` is missing; got {got}", field=name, got=[other[:40] for other in came[:8]])


def too_many_images(most: int, field: str) -> TooManyImages:
    """More photos than a request may carry."""
    message = f"one request carries up to {most} photo{'s' if most > 1 else ''} in `{field}`; send several requests"
    return TooManyImages(message, field=field, limit=most)


def content_type(request: Request) -> str:
    """The body's media type, in lower case, without parameters; empty if there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


@asynccontextmanager
async def read_form(
    request: Request, *, required: Sequence[str], optional: Sequence[str], most_photos: int, max_text: int
) -> AsyncIterator[Form]:
    """Read a multipart form. Its files are gone after the block.

    Args:
        required, optional: names of the fields that the call takes.
        most_photos: files that will be read.
        max_text: bytes of one text field.

    Raises:
        UnsupportedBody: no multipart body. MalformedBody: one that cannot be parsed.
        FieldUnknown, FieldMissing, FieldTooLarge, TooManyImages, RequestTooLarge.
    """
    if content_type(request) != "multipart/form-data":
        came = content_type(request) or "a body without Content-Type"
        raise UnsupportedBody(f"send multipart/form-data with field `{required[0]}`; got {came[:60]}", got=came[:60])
    try:
        data = await request.form(max_files=most_photos + 1, max_fields=_MAX_FIELDS, max_part_size=max_text)
    except HTTPException as error:
        raise _form_error(str(error.detail), max_text, most_photos) from error
    try:
        _check_names(list(data.keys()), required, optional)
        yield Form(data)
    finally:
        await data.close()


def _check_names(came: Sequence[str], required: Sequence[str], optional: Sequence[str]) -> None:
    for name in required:
        if name not in came:
            raise _missing(name, came)
    known = [*required, *optional]
    for name in came:
        if name not in known:
            listed = ", ".join(f"`{field}`" for field in known)
            raise FieldUnknown(f"field `{name[:40]}` is unknown here; the fields are {listed}", field=name[:40])


def _form_error(detail: str, max_text: int, most_photos: int) -> Exception:
    # Starlette tells its limits apart by their sentences only.
    if detail.startswith("Too many files"):
        return too_many_images(most_photos, "images" if most_photos > 1 else "image")
    if detail.startswith("Part exceeded"):
        return FieldTooLarge(f"a text field may have {max_text} bytes; photos are sent as files", limit=max_text)
    return MalformedBody(f"the multipart body cannot be read: {detail}")


async def json_object(request: Request, *, known: Sequence[str]) -> dict[str, Any]:
    """Read a JSON body that must be an object with no other than the `known` members.

    Raises:
        MalformedBody, FieldUnknown, RequestTooLarge.
    """
    body = await request.body()
    value = await run_in_threadpool(_json, body) if len(body) > _LONG else _json(body)
    if not isinstance(value, dict):
        raise MalformedBody(f"the body must be a JSON object; got {type(value).__name__}")
    for name in value:
        if name not in known:
            listed = ", ".join(f"`{field}`" for field in known)
            raise FieldUnknown(f"`{name[:40]}` is unknown here; the members are {listed}", field=name[:40])
    return value


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        came = "an empty body" if not body else f"something else ({_why_not_json(error)})"
        raise MalformedBody(f"the body must be a JSON object; got {came}") from error


def _why_not_json(error: Exception) -> str:
    # Python tells where a text stops being JSON; its words for bytes and depth would say nothing to a caller.
    if isinstance(error, json.JSONDecodeError):
        return str(error)
    return "not UTF-8" if isinstance(error, UnicodeDecodeError) else "nested too deep, or numbers too long"


def label_or_unknown(given: Mapping[str, object], subject: str) -> str | None:
    """The member `label`, or None where `unknown` is true.

    Args:
        subject: what needs one of the two, for the message.

    Raises:
        FieldInvalid: neither, or both; or one that is of another kind.
    """
    label, unknown = given.get("label"), str(given.get("unknown", False)).strip().lower()
    if label is not None and not isinstance(label, str):
        raise FieldInvalid(f"`label` must be text; got {label!r:.40}", field="label")
    if unknown not in {"true", "1", "false", "0"}:
        raise FieldInvalid(f"`unknown` must be true or false; got {unknown[:40]!r}", field="unknown")
    if (label is not None) == (unknown in {"true", "1"}):
        came = "both" if label is not None else "neither"
        raise FieldInvalid(
            f"{subject} needs `label`, or `unknown` true; {came} came",
            field="unknown" if label is not None else "label",
        )
    return label
