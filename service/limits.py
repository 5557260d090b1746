"""How many bytes a request may bring, and how long it may dawdle, whatever its headers say."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import RequestTooLarge, SlowRequest

__all__ = ["BodyLimit"]

_TAKES_PHOTOS = re.compile(r"/recognize(/batch)?|/index(/distractors|/import)?|/feedback|/galleries/[^/]+/pins")


class BodyLimit:
    """ASGI middleware that counts the bytes that really come; none is read of a body that says itself that it is over
    the limit.

    What is over it without having said so is read on and thrown away for as much again, so that a client that is still
    sending gets to see the answer instead of a broken connection.

    Args:
        max_bytes: of a call that takes photos.
        small_bytes: of any other; the framework reads these into memory before it asks who is calling.
        larger: by path, the limit of calls that take larger forms than the others; such a form is written to disk as
            it comes, and anything else that is sent there is not.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_bytes: int,
        small_bytes: int,
        timeout: float,
        larger: Mapping[str, int] | None = None,
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._small_bytes = small_bytes
        self._timeout = timeout
        self._larger = larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a `receive` that raises RequestTooLarge and SlowRequest."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit(scope)
        declared = _content_length(scope)
        counted = 0
        complete = False

        async def limited() -> Message:
            nonlocal counted, complete
            if declared > limit and counted == 0 and not complete:
                complete = True
                raise _too_large(limit)
            if complete:  # nothing but a disconnect can come now, and that may take its time
                return await receive()
            message = await self._next(receive)
            if message["type"] == "http.request":
                counted += len(message.get("body", b""))
                complete = not message.get("more_body", False)
            if counted > limit:
                await self._drain(receive, complete)
                complete = True
                raise _too_large(limit)
            return message

        await self._app(scope, limited, send)

    def _limit(self, scope: Scope) -> int:
        path = scope["path"]
        if scope["method"] != "POST" or not _TAKES_PHOTOS.fullmatch(path):
            return self._small_bytes
        return self._larger.get(path, self._max_bytes) if _is_form(scope) else self._max_bytes

    async def _next(self, receive: Receive) -> Message:
        try:
            return await asyncio.wait_for(receive(), self._timeout)
        except TimeoutError as error:
            raise SlowRequest(f"no byte of the body came for {self._timeout:g} seconds; send it again") from error

    async def _drain(self, receive: Receive, complete: bool) -> None:
        left = self._max_bytes
        while not complete and left > 0:
            message = await self._next(receive)
            if message["type"] != "http.request":
                return
            left -= len(message.get("body", b""))
            complete = not message.get("more_body", False)


def _is_form(scope: Scope) -> bool:
    said = [value for name, value in scope["headers"] if name == b"content-type"]
    return bool(said) and said[0].startswith(b"multipart/form-data")  # the first is the one that is read by


def _content_length(scope: Scope) -> int:
    """What the request's headers say; 0 where they say nothing, and the bytes alone tell."""
    said = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(said[0]) if said and said[0].isdigit() else 0


def _too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(f"this call takes a body of up to {limit} bytes; send less at a time", limit=limit)
