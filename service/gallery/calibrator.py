"""Recalibrates galleries in the background, within seconds after their last change."""

from __future__ import annotations

import threading
import time

from structlog.typing import FilteringBoundLogger

from embedding.errors import WhichoneError
from service.gallery.galleries import Galleries
from service.gallery.repository import Staleness

__all__ = ["Calibrator"]

_TICK = 0.4
_QUIET = 1.0
"""Seconds without a further change before the work is worth doing."""

_PATIENCE = 10.0
"""Seconds after which it is done although changes go on."""

_SHARE = 10.0
"""Between two calibrations of a gallery that keeps changing passes so many times what one takes."""


class Calibrator:
    """A thread that looks for stale galleries; several processes may each have one."""

    def __init__(self, galleries: Galleries, log: FilteringBoundLogger) -> None:
        self._galleries = galleries
        self._log = log
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="calibrator", daemon=True)
        self._seen: dict[str, tuple[int, float, float]] = {}
        self._not_before: dict[str, float] = {}

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; waits for a calibration that is under way."""
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stop.wait(_TICK):
            try:
                for entry in self._galleries.stale():
                    self._look_at(entry)
            except WhichoneError as error:  # such as a database that is away for a moment: it is tried again
                self._log.warning("calibration failed", code=error.code, detail=error.message)
            except Exception:
                self._log.exception("calibration failed unexpectedly")

    def _look_at(self, entry: Staleness) -> None:
        now = time.monotonic()
        change, since, first = self._seen.get(entry.name, (-1, now, now))
        if change != entry.items_change:
            self._seen[entry.name] = (entry.items_change, now, first)
            since = now
        if now < self._not_before.get(entry.name, 0.0) or (now - since < _QUIET and now - first < _PATIENCE):
            return
        done = self._galleries.calibrate_in_background(entry)
        took = time.monotonic() - now
        self._seen.pop(entry.name, None)
        self._not_before[entry.name] = time.monotonic() + _SHARE * took
        if done:
            self._log.info("calibrated", gallery=entry.name, basis=entry.items_change, seconds=round(took, 3))
