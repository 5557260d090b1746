"""Around every request: an id, a log line, a count, a trace if asked for, and the last net under unexpected errors."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from service.console.endpoints import PAGE_ROUTE
from service.metrics import Metrics
from service.observability.traces import RequestSpan, Traces
from service.problems import unexpected

__all__ = ["Telemetry"]

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_CLIENT_GONE = 499
_QUIET = frozenset({"/healthz", "/readyz", "/metrics", PAGE_ROUTE})
"""Asked for over and over, or forty at a time, and of no interest where they are answered."""

_TOLD = ("key", "verdict", "photos")
"""What a request's state may say of it for its log line: the key's name, never the key; no label."""


class Telemetry:
    """ASGI middleware, outermost."""

    def __init__(
        self, app: ASGIApp, *, log: FilteringBoundLogger, metrics: Metrics, traces: Traces | None = None
    ) -> None:
        self._app = app
        self._log = log
        self._metrics = metrics
        self._traces = traces

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
        with structlog.contextvars.bound_contextvars(request_id=request_id), self._traced(scope) as span:
            try:
                await self._app(scope, receive, tagged)
            except ClientDisconnect:
                status = _CLIENT_GONE
            except Exception:
                self._log.exception("unexpected error", method=scope["method"], path=_path(scope))
                if status == 0:
                    await unexpected(request_id)(scope, receive, tagged)
                status = 500
            self._record(scope, status, time.perf_counter() - started, span)

    @contextmanager
    def _traced(self, scope: Scope) -> Iterator[RequestSpan | None]:
        """A span, whose trace's id stands in every log line meanwhile; None where nothing is traced."""
        if self._traces is None or scope["path"] in _QUIET:
            yield None
            return
        with self._traces.request(scope) as span, structlog.contextvars.bound_contextvars(trace_id=span.trace_id):
            yield span

    def _explain(self, scope: Scope) -> None:
        """An error of the server's own, though expected, is worth its whole story in the log."""
        error = scope["state"].get("error")
        if error is not None:
            self._log.error("request failed", path=_path(scope), code=error.code, exc_info=error)

    def _record(self, scope: Scope, status: int, seconds: float, span: RequestSpan | None) -> None:
        if status >= 500:
            self._explain(scope)
        method, state = scope["method"], scope["state"]
        route = getattr(scope.get("route"), "path", "unmatched")
        self._metrics.answered(method=method, route=route, status=status, seconds=seconds)
        if span is not None:
            span.answered(method=method, route=route, status=status, request_id=state["request_id"])
        say = self._log.debug if route in _QUIET else self._log.info
        say(
            "request",
            method=method,
            path=_path(scope),
            route=route,
            status=status,
            ms=round(seconds * 1000, 1),
            **{name: state[name] for name in _TOLD if name in state},
        )


def _path(scope: Scope) -> str:
    """What was called, without a label in it; nothing of what no route knows, which may be anything."""
    path = str(getattr(scope.get("route"), "path", "unmatched"))
    for name, value in scope.get("path_params", {}).items():
        if name != "label":
            path = path.replace(f"{{{name}}}", str(value))
    return path


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value, "ascii")
    return uuid.uuid4().hex
