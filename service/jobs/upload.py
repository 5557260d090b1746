"""An archive on its way in: written to disk as it comes, never whole in memory, and by nobody's event loop."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from fastapi.concurrency import run_in_threadpool
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from index.generation import told_when_full
from service.errors import FieldInvalid, FieldMissing, FieldTooLarge, FieldUnknown, MalformedBody

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

__all__ = ["Upload", "receive"]

_BLOCK = 2**20
_MOST_TEXT = 1024
_TEXTS = frozenset({"distractors"})
_ARCHIVE = "archive"


class Upload:
    """A multipart form of one file, `archive`, and text fields, as it is parsed. Use it in a `with` block.

    Attributes:
        name: the file's, as its sender called it.
        texts: text fields that came.

    Args:
        target: where the archive is written.
    """

    def __init__(self, content_type: str, target: Path) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise MalformedBody("the multipart body cannot be read: its Content-Type has no boundary")
        self.name = ""
        self.texts: dict[str, str] = {}
        self._came: list[str] = []
        self._ended = False
        self._headers: dict[str, bytes] = {}
        self._header, self._value = b"", b""
        self._field = ""
        self._text = b""
        self._file = target.open("xb")
        callbacks: MultipartCallbacks = {
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_begin": self._headers.clear,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)
        except FormParserError as error:
            self._file.close()
            raise _malformed(error) from error

    def __enter__(self) -> Upload:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        """Take the next part of the body.

        Raises:
            MalformedBody, FieldUnknown, FieldInvalid, FieldTooLarge: it is not such a form.
            DiskFull: there is no room for the archive.
        """
        try:
            with told_when_full("the archive"):
                self._parser.write(data)
        except FormParserError as error:
            raise _malformed(error) from error

    def finish(self) -> None:
        """Make sure that all has come, durably.

        Raises:
            MalformedBody: the body ends too soon. FieldMissing: no archive came. DiskFull.
        """
        if not self._ended:
            raise MalformedBody("the multipart body ends before its last boundary; send it again")
        if _ARCHIVE not in self._came:
            got = ", ".join(f"`{name[:40]}`" for name in self._came) or "no field at all"
            raise FieldMissing(f"field `{_ARCHIVE}` is missing; got {got}", field=_ARCHIVE)
        with told_when_full("the archive"):
            self._file.flush()
            os.fsync(self._file.fileno())

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header.decode("latin-1").lower()] = self._value
        self._header, self._value = b"", b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", b""))
        name = options.get(b"name", b"").decode(errors="replace")
        file_name = options.get(b"filename")
        if name != _ARCHIVE and name not in _TEXTS:
            listed = ", ".join(f"`{field}`" for field in (_ARCHIVE, *sorted(_TEXTS)))
            raise FieldUnknown(f"field `{name[:40]}` is unknown here; the fields are {listed}", field=name[:40])
        if name in self._came:
            raise FieldInvalid(f"field `{name}` came twice; send it once", field=name)
        if (name == _ARCHIVE) != (file_name is not None):
            kind = "text; send it as a file (curl: -F archive=@photos.zip)" if name == _ARCHIVE else "a file; send text"
            raise FieldInvalid(f"field `{name}` came as {kind}", field=name)
        if file_name is not None:
            self.name = file_name.decode(errors="replace")
        self._field = name
        self._came.append(name)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._field == _ARCHIVE:
            self._file.write(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > _MOST_TEXT:
            raise FieldTooLarge(f"field `{self._field}` may have {_MOST_TEXT} bytes", field=self._field)

    def _on_part_end(self) -> None:
        if self._field != _ARCHIVE:
            self.texts[self._field] = self._text.decode(errors="replace")
        self._text = b""

    def _on_end(self) -> None:
        self._ended = True


async def receive(request: Request, target: Path) -> Upload:
    """Write the archive of a multipart request to `target`, durably.

    Raises:
        MalformedBody, FieldMissing, FieldUnknown, FieldInvalid, FieldTooLarge, RequestTooLarge, SlowRequest, DiskFull;
        whatever was written is there still.
    """
    with Upload(request.headers.get("content-type", ""), target) as upload:
        waiting = bytearray()
        async for chunk in request.stream():
            waiting += chunk
            if len(waiting) >= _BLOCK:
                await run_in_threadpool(upload.write, bytes(waiting))
                waiting.clear()
        await run_in_threadpool(upload.write, bytes(waiting))
        await run_in_threadpool(upload.finish)
        return upload


def _malformed(error: FormParserError) -> MalformedBody:
    return MalformedBody(f"the multipart body cannot be read: {error}")
