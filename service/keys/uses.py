"""When each key was last used: noted in memory by the requests, written to the database by a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from structlog.typing import FilteringBoundLogger

from embedding.errors import WhichoneError
from service.background import BackgroundThread
from service.database import Database
from service.keys.repository import KeyRepository

__all__ = ["KeyUses", "UseWriter"]

_TICK = 5.0
_MINUTE = timedelta(minutes=1)


class KeyUses:
    """Uses that are not written yet, and when each key's were written last. Thread-safe.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: dict[int, datetime] = {}
        self._written: dict[int, float] = {}

    def note(self, key_id: int) -> None:
        """The key is being used. Never waits for the database."""
        with self._lock:
            self._pending[key_id] = datetime.now(UTC)

    def write(self, *, all_of_them: bool = False) -> int:
        """Write what was noted, of each key once a minute; returns of how many.

        Args:
            all_of_them: also of keys whose use was written less than a minute ago, as nothing comes after.

        Raises:
            DatabaseUnavailable, DiskFull: nothing was written; it is kept for the next time.
        """
        now = self._clock()
        with self._lock:
            minute = _MINUTE.total_seconds()
            due = {
                key_id: moment
                for key_id, moment in self._pending.items()
                if all_of_them or now - self._written.get(key_id, -minute) >= minute
            }
        if not due:
            return 0
        with self._database.write() as session:
            KeyRepository(session).used(due, at_least=timedelta(0) if all_of_them else _MINUTE)
        with self._lock:
            for key_id, moment in due.items():
                self._written[key_id] = now
                if self._pending.get(key_id) == moment:
                    del self._pending[key_id]
        return len(due)


class UseWriter(BackgroundThread):
    """A thread that writes what was noted, and at its end all of it."""

    def __init__(self, uses: KeyUses, log: FilteringBoundLogger) -> None:
        super().__init__("key uses", "writing the last use of keys", _TICK, log)
        self._uses = uses

    def look(self) -> None:
        """Write what is due."""
        self._uses.write()

    def stop(self) -> None:
        """End; what was noted since is written as far as the database takes it."""
        super().stop()
        with suppress(WhichoneError):
            self._uses.write(all_of_them=True)
