"""How much photo work is let in, how long it may wait, and that nobody works for a client who has left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import Overdue, Overloaded
from service.observability.observer import Observer
from service.observability.tracing import record
from service.problems import as_answer
from service.turns import Turn, Turns

__all__ = ["Admission", "AtTheDoor", "Gate"]

T = TypeVar("T")


class Gate:
    """Counts photo requests from their first byte; beyond `waiting` of them a request is refused at once: a queue
    without end only makes everyone late.

    Args:
        waiting: photo requests that may be inside, in work or in line.
        deadline: seconds that a photo may stand in line, from when all of its request is here.
        observer: is told how long each stood there.
    """

    def __init__(self, turns: Turns, *, waiting: int, deadline: float, observer: Observer) -> None:
        self._turns = turns
        self._waiting = waiting
        self._deadline = deadline
        self._observer = observer
        self._threads = CapacityLimiter(turns.slots)
        self._enrolling = CapacityLimiter(waiting)  # these hold threads while they wait for their photos' turns
        self.inside = 0

    @asynccontextmanager
    async def admit(self, request: Request) -> AsyncIterator[Admission]:
        """Hold this around reading and working on a photo request.

        Raises:
            Overloaded: enough of them are inside.
        """
        self.require_room()
        self.inside += 1
        try:
            yield Admission(self, request)
        finally:
            self.inside -= 1

    def require_room(self) -> None:
        """Let a photo request pass if there is room for one.

        Raises:
            Overloaded: there is none.
        """
        if self.inside >= self._waiting:
            self._observer.turned_away("any", "full")
            raise Overloaded(
                f"{self.inside} photo requests are waiting already; try again in a second", limit=self._waiting
            )

    async def recognize(self, left: asyncio.Future[None], work: Callable[[], T]) -> T:
        """Run a question's work in a thread when its turn comes. Cancelled, it leaves the line, or ends what runs.

        Args:
            left: done when the client has gone.

        Raises:
            Overdue: the turn did not come in time. ClientDisconnect: the client did not wait for it.
        """
        since = time.perf_counter()
        turn = self._turns.ask("recognize")
        try:
            await self._come(turn, left)
        except BaseException:
            self._turns.leave(turn)
            raise
        try:
            waited = time.perf_counter() - since
            self._observer.queued("recognize", waited)
            record("queue", waited)
            return await run_sync(work, limiter=self._threads)
        finally:
            self._turns.end()

    async def enrol(self, work: Callable[[], T]) -> T:
        """Run enrolment in a thread; its photos take their turns one by one, and no client's leaving undoes them."""
        return await run_sync(work, limiter=self._enrolling)

    async def _come(self, turn: Turn, left: asyncio.Future[None]) -> None:
        if turn.done():
            return
        came = asyncio.wrap_future(turn)
        done, _ = await asyncio.wait({came, left}, timeout=self._deadline, return_when=asyncio.FIRST_COMPLETED)
        if came in done:
            return
        if left in done:
            self._observer.turned_away("recognize", "left")
            raise ClientDisconnect
        self._observer.turned_away("recognize", "deadline")
        raise Overdue(
            f"no turn came for this photo within {self._deadline:g} seconds; try again in a second",
            limit_s=self._deadline,
        )


@dataclass(frozen=True, slots=True)
class Admission:
    """One photo request inside the gate."""

    gate: Gate
    request: Request

    async def recognize(self, *works: Callable[[], T]) -> list[T]:
        """Run each of a request's questions when its turn comes, side by side as far as there is room.

        Raises:
            Overdue, ClientDisconnect: see `Gate.recognize`. Whatever a work raises: the others are given up.
        """
        left = asyncio.ensure_future(_departure(self.request))
        asked = [asyncio.ensure_future(self.gate.recognize(left, work)) for work in works]
        try:
            return await asyncio.gather(*asked)
        finally:
            for waiting in (left, *asked):
                waiting.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*asked, return_exceptions=True)

    async def enrol(self, work: Callable[[], T]) -> T:
        """See `Gate.enrol`."""
        return await self.gate.enrol(work)


class AtTheDoor:
    """ASGI middleware that refuses a photo request before anything is done for it, its key looked at or its body read:
    what turning away costs is taken from those who are inside."""

    def __init__(self, app: ASGIApp, *, gate: Gate, paths: Collection[str]) -> None:
        self._app = app
        self._gate = gate
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in self._paths:
            try:
                self._gate.require_room()
            except Overloaded as error:
                scope["route"] = _Route(scope["path"])
                await as_answer(error, scope["state"].get("request_id"))(scope, receive, send)
                return
        await self._app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class _Route:
    """What metrics and log lines look for in a request that was routed."""

    path: str


async def _departure(request: Request) -> None:
    """Returns when the client has gone. The body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
