"""Measures the photos of large galleries before anybody asks about them (`index.space.Space.measure`).

Each process does so for itself, after it opened a gallery and after the gallery learned another adaptation. Questions
are answered meanwhile, and measure what they need.
"""

from __future__ import annotations

import time

from structlog.typing import FilteringBoundLogger

from service.background import BackgroundThread
from service.gallery.galleries import Galleries
from service.gallery.replica import Replica

__all__ = ["Measurer"]

_TICK = 0.5
_PHOTOS_AT_ONCE = 500
"""Some ten milliseconds, for which a change of the gallery has to wait."""


class Measurer(BackgroundThread):
    """A thread that takes at most half a processor."""

    def __init__(self, galleries: Galleries, log: FilteringBoundLogger) -> None:
        super().__init__("measurer", "measuring", _TICK, log)
        self._galleries = galleries

    def look(self) -> None:
        """Measure what is not yet measured."""
        for replica in self._galleries.replicas():
            self._measure(replica)

    def _measure(self, replica: Replica) -> None:
        began = time.perf_counter()
        while replica.measure(_PHOTOS_AT_ONCE):
            if self._stop.wait(time.perf_counter() - began):
                return
            began = time.perf_counter()
