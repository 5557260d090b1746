"""One model for callers in several threads: a call that is alone has all cores, calls side by side have one each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from embedding.session import Session

__all__ = ["SharedSession"]

_MEMORY_S = 1.0
"""Seconds that a call counts as one of several after some met: between two of theirs, each is alone for a moment."""


class SharedSession:
    """A session of many threads and one of a single thread, of the same model, taken as the callers are few or many.

    Threads of one call wait for each other at every layer, and get in the way of another call's: two calls of one
    thread each end sooner than two of two threads. ONNX Runtime shares out rows and channels among threads, never the
    terms of a sum, so both sessions give the same bits. Thread-safe.

    Args:
        wide: with several threads.
        narrow: with one.
        now: a clock, in seconds.
    """

    def __init__(self, wide: Session, narrow: Session, now: Callable[[], float] = time.monotonic) -> None:
        self._wide = wide
        self._narrow = narrow
        self._now = now
        self._lock = threading.Lock()
        self._running = 0
        self._met = -_MEMORY_S

    def run(self, outputs: Sequence[str], feeds: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """As of `embedding.session.Session`."""
        with self._lock:
            self._running += 1
            if self._running > 1:
                self._met = self._now()
            alone = self._now() - self._met >= _MEMORY_S
        try:
            return (self._wide if alone else self._narrow).run(outputs, feeds)
        finally:
            with self._lock:
                self._running -= 1

    def get_inputs(self) -> Sequence[Any]:
        """Of either."""
        return self._wide.get_inputs()

    def get_outputs(self) -> Sequence[Any]:
        """Of either."""
        return self._wide.get_outputs()

    def get_providers(self) -> list[str]:
        """Of either."""
        return self._wide.get_providers()
