"""How much photo work is let in: the bound on memory and on threads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from service.errors import Overloaded

__all__ = ["Gate"]

T = TypeVar("T")


class Gate:
    """Counts photo requests from their first byte, and runs their heavy part a few at a time.

    At most `waiting` requests hold an upload (beyond, 503 at once: a queue without end only makes everyone late), and
    at most `concurrency` hold a decoded photo.
    """

    def __init__(self, *, concurrency: int, waiting: int) -> None:
        self._limiter = CapacityLimiter(concurrency)
        self._waiting = waiting
        self.inside = 0

    @asynccontextmanager
    async def admit(self) -> AsyncIterator[None]:
        """Hold this around reading and working on a photo request.

        Raises:
            Overloaded: enough of them are inside.
        """
        if self.inside >= self._waiting:
            raise Overloaded(
                f"{self.inside} photo requests are waiting already; try again in a second", limit=self._waiting
            )
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    async def run(self, work: Callable[[], T]) -> T:
        """Run decoding and embedding in a thread, when its turn comes."""
        return await run_sync(work, limiter=self._limiter)
