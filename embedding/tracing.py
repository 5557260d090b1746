"""The seam for traces: `with span("decode"):` costs a look-up while tracing is off, and imports nothing.

A request that is traced carries its tracer in its context, which threads started through anyio inherit. So nothing here
is global, and code that is used outside a request (the command line) traces nothing. It stands in the lowest room
because every room has steps to tell of; who listens is `service.observability.otlp`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Protocol

__all__ = ["Tracer", "Value", "record", "span", "traced_by"]

Value = str | int | float | bool
"""Of an attribute: sizes and counts; never bytes of a photo, a key, or a label."""

_NOTHING: AbstractContextManager[None] = nullcontext()


class Tracer(Protocol):
    """Makes spans under the one that the context is in."""

    def span(self, name: str, attributes: dict[str, Value]) -> AbstractContextManager[None]:
        """A span around a block."""

    def record(self, name: str, seconds: float, attributes: dict[str, Value]) -> None:
        """A span that ends now and began so many seconds ago."""


_TRACER: ContextVar[Tracer | None] = ContextVar("whichone_tracer", default=None)


def span(name: str, **attributes: Value) -> AbstractContextManager[None]:
    """A step of the request under way, from here to the end of the block; nothing when it is not traced."""
    tracer = _TRACER.get()
    return _NOTHING if tracer is None else tracer.span(name, attributes)


def record(name: str, seconds: float, **attributes: Value) -> None:
    """A step of the request under way that another thread did for it: it ended now, and took so long."""
    tracer = _TRACER.get()
    if tracer is not None:
        tracer.record(name, seconds, attributes)


@contextmanager
def traced_by(tracer: Tracer) -> Iterator[None]:
    """Spans within the block, and in what it starts, go to `tracer`."""
    token = _TRACER.set(tracer)
    try:
        yield
    finally:
        _TRACER.reset(token)
