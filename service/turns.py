"""Whose turn it is to compute. A photo's heavy steps take turns, a few at a time, whoever asked for them: questions go
before enrolment, and enrolment gets one turn in four while questions wait without end."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Literal, get_args

__all__ = ["LANES", "Lane", "Turn", "Turns"]

Lane = Literal["recognize", "enrol"]
LANES: tuple[Lane, ...] = get_args(Lane)

_PATIENCE = 3
"""Questions that may go before an enrolment that waits."""

Turn = Future[None]
"""Done when the turn has come. `cancel()` gives up waiting; where that fails, the turn has come and must be ended."""


class Turns:
    """A few turns at a time, in two lanes, each first come first served. Thread-safe.

    Args:
        slots: turns at a time.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._lock = threading.Lock()
        self._free = slots
        self._waiting: dict[Lane, deque[Turn]] = {lane: deque() for lane in LANES}
        self._passed_over = 0

    def ask(self, lane: Lane) -> Turn:
        """Get in line. Whoever asked calls `end` once the turn has come and been used."""
        turn: Turn = Future()
        with self._lock:
            self._waiting[lane].append(turn)
            came = self._hand_out()
        _tell(came)
        return turn

    def end(self) -> None:
        """Give a turn back."""
        with self._lock:
            self._free += 1
            came = self._hand_out()
        _tell(came)

    @contextmanager
    def taken(self, lane: Lane) -> Iterator[None]:
        """Wait for a turn, and hold it; for threads. Not reentrant: the inner one could wait for the outer."""
        turn = self.ask(lane)
        try:
            turn.result()
        except BaseException:  # such as a KeyboardInterrupt
            self.leave(turn)
            raise
        try:
            yield
        finally:
            self.end()

    def leave(self, turn: Turn) -> None:
        """Give up a turn that was asked for, whether it has come or not."""
        if not turn.cancel():
            self.end()

    def waiting(self, lane: Lane) -> int:
        """How many are in line."""
        with self._lock:
            return sum(not turn.cancelled() for turn in self._waiting[lane])

    def _hand_out(self) -> list[Turn]:
        """Turns that have come now. Whom they belong to is told outside the lock: a callback may ask again."""
        came = []
        while self._free and (turn := self._next()) is not None:
            self._free -= 1
            came.append(turn)
        return came

    def _next(self) -> Turn | None:
        questions, enrolments = self._waiting["recognize"], self._waiting["enrol"]
        while True:
            due = bool(enrolments) and (not questions or self._passed_over >= _PATIENCE)
            line = enrolments if due else questions
            if not line:
                return None
            turn = line.popleft()
            if not turn.set_running_or_notify_cancel():
                continue
            self._passed_over = 0 if due or not enrolments else self._passed_over + 1
            return turn


def _tell(came: list[Turn]) -> None:
    for turn in came:
        turn.set_result(None)
