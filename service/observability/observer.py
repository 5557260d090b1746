"""What the parts that queue and batch tell of themselves, and to whom."""

from __future__ import annotations

from typing import Literal, Protocol

__all__ = ["SILENT", "Observer", "TurnedAway"]

TurnedAway = Literal["full", "deadline", "left"]
"""Why work was not done: the queue was full, its time was over, or its client had gone."""


class Observer(Protocol):
    """Is told, by any thread; never raises and never waits.

    Lanes are few and fixed: `recognize`, `enrol`, and `any` before it is known which.
    """

    def queued(self, lane: str, seconds: float) -> None:
        """A piece of work got its turn, after waiting so long."""

    def turned_away(self, lane: str, why: TurnedAway) -> None:
        """A piece of work was given up before its turn."""

    def embedded(self, batch: int, seconds: float) -> None:
        """So many images went through the model at once, and it took so long."""


class _Silent:
    """Tells nobody."""

    def queued(self, lane: str, seconds: float) -> None:
        pass

    def turned_away(self, lane: str, why: TurnedAway) -> None:
        pass

    def embedded(self, batch: int, seconds: float) -> None:
        pass


SILENT: Observer = _Silent()
"""For the command line and for tests."""
