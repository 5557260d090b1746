"""One scrape for several processes: each counts in files of its own in one folder, and whichever is asked adds them up.

This is prometheus_client's multiprocess mode. Counters and histograms of a process that ended stay in the sums, which
must never fall; what was so only while it lived goes with it. Gauges are as of the last few seconds, since each
process can only set its own.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from structlog.typing import FilteringBoundLogger

from service.observability.gauges import Gauges

__all__ = ["Refresher", "SharedMetrics", "metrics_folder"]

_REFRESH_S = 2.0
_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""prometheus_client takes the folder from here alone, and only as it is imported."""


@contextmanager
def metrics_folder() -> Iterator[Path]:
    """A folder for the metrics of the processes that this one starts within the block; gone after it."""
    with tempfile.TemporaryDirectory(prefix="whichone-metrics-") as folder:
        os.putenv(_VARIABLE, folder)  # for those processes, not for this one
        try:
            yield Path(folder)
        finally:
            os.unsetenv(_VARIABLE)


class SharedMetrics(Collector):
    """The sums over all processes that count in `folder`.

    Attributes:
        registry: holds these alone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Every metric, over every process."""
        for pid in {int(path.stem.rpartition("_")[2]) for path in self._folder.glob("gauge_live*.db")}:
            if not _is_alive(pid):
                mark_process_dead(pid, str(self._folder))  # type: ignore[no-untyped-call]
        files = sorted(str(path) for path in self._folder.glob("*.db") if _size(path))  # 0: only just made
        merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return merged


class Refresher:
    """Sets this process's gauges every few seconds, for scrapes that another process answers."""

    def __init__(self, gauges: Gauges, log: FilteringBoundLogger) -> None:
        self._gauges = gauges
        self._log = log
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="gauges", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it."""
        self._over.set()
        self._thread.join()

    def _work(self) -> None:
        while True:
            try:
                self._gauges.refresh()
            except Exception:
                self._log.exception("gauges could not be set")
            if self._over.wait(_REFRESH_S):
                return


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:  # gone; or its number is somebody else's by now
        return False
    return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # another scrape cleared it away
        return 0
