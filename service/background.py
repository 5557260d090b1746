"""Threads that look after something at intervals, as long as the process serves."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

from structlog.typing import FilteringBoundLogger

from embedding.errors import WhichoneError
from service.audit.actor import SERVER, act_as

__all__ = ["BackgroundThread"]


class BackgroundThread(ABC):
    """Calls `look` every so often. An error of it is logged, and it is called again.

    Args:
        name: of the thread.
        doing: in log lines: "calibration" failed.
        tick: seconds between two looks.
    """

    def __init__(self, name: str, doing: str, tick: float, log: FilteringBoundLogger) -> None:
        self._doing = doing
        self._tick = tick
        self._log = log
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    @abstractmethod
    def look(self) -> None:
        """See whether there is something to do, and do it."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; waits for what is under way."""
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        act_as(SERVER)
        while not self._stop.wait(self._tick):
            try:
                self.look()
            except WhichoneError as error:  # such as a database that is away for a moment
                self._log.warning(f"{self._doing} failed", code=error.code, detail=error.message)
            except Exception:
                self._log.exception(f"{self._doing} failed unexpectedly")
