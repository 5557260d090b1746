"""Recalibrates galleries in the background, within seconds after their last change."""

from __future__ import annotations

import time

from structlog.typing import FilteringBoundLogger

from service.background import BackgroundThread
from service.gallery.galleries import Galleries
from service.gallery.repository import Staleness

__all__ = ["Calibrator"]

_TICK = 0.4
_QUIET = 1.0
"""Seconds without a further change before the work is worth doing."""

_PATIENCE = 10.0
"""Seconds after which it is done although changes go on."""

_REST_WHILE_CHANGING = 20.0
_REST = 3.0
"""Between two calibrations of a gallery passes so many times what one takes: many while it keeps changing, as what is
learned then is soon out of date, and few when it has come to rest."""


class Calibrator(BackgroundThread):
    """A thread that looks for stale galleries; several processes may each have one."""

    def __init__(self, galleries: Galleries, log: FilteringBoundLogger) -> None:
        super().__init__("calibrator", "calibration", _TICK, log)
        self._galleries = galleries
        self._seen: dict[str, tuple[int, float, float]] = {}
        self._last: dict[str, tuple[float, float]] = {}  # when it ended, and how long it took

    def look(self) -> None:
        """Calibrate what is stale and worth it."""
        for entry in self._galleries.learning.stale():
            self._look_at(entry)

    def _look_at(self, entry: Staleness) -> None:
        now = time.monotonic()
        change, since, first = self._seen.get(entry.name, (-1, now, now))
        if change != entry.items_change:
            self._seen[entry.name] = (entry.items_change, now, first)
            since = now
        resting = now - since >= _QUIET
        if not resting and now - first < _PATIENCE:
            return
        ended, took = self._last.get(entry.name, (now, 0.0))
        if now - ended < took * (_REST if resting else _REST_WHILE_CHANGING):
            return
        done = self._galleries.learning.calibrate_in_background(entry)
        took = time.monotonic() - now
        self._seen.pop(entry.name, None)
        self._last[entry.name] = (time.monotonic(), took)
        if done:
            self._log.info("calibrated", gallery=entry.name, basis=entry.items_change, seconds=round(took, 3))
