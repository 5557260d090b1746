"""Around every request: an id, a log line, a count, and the last net under unexpected errors."""

from __future__ import annotations

import re
import time
import uuid

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from service.metrics import Metrics
from service.problems import unexpected

__all__ = ["Telemetry"]

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_CLIENT_GONE = 499
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


class Telemetry:
    """ASGI middleware, outermost."""

    def __init__(self, app: ASGIApp, *, log: FilteringBoundLogger, metrics: Metrics) -> None:
        self._app = app
        self._log = log
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request; an exception that nobody expected becomes a 500 that tells an id and nothing else."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def tagged(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
            await send(message)

        started = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, tagged)
            except ClientDisconnect:
                status = _CLIENT_GONE
            except Exception:
                self._log.exception("unexpected error", method=scope["method"], path=scope["path"])
                if status == 0:
                    await unexpected(request_id)(scope, receive, tagged)
                status = 500
            self._record(scope, status, time.perf_counter() - started)

    def _explain(self, scope: Scope) -> None:
        """An error of the server's own, though expected, is worth its whole story in the log."""
        error = scope["state"].get("error")
        if error is not None:
            self._log.error("request failed", path=scope["path"], code=error.code, exc_info=error)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        if status >= 500:
            self._explain(scope)
        route = getattr(scope.get("route"), "path", "unmatched")
        self._metrics.answered(method=scope["method"], route=route, status=status, seconds=seconds)
        say = self._log.debug if route in _QUIET else self._log.info
        say(
            "request",
            method=scope["method"],
            path=scope["path"],
            route=route,
            status=status,
            ms=round(seconds * 1000, 1),
        )


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value, "ascii")
    return uuid.uuid4().hex
