"""The end of a server, told before it comes: SIGTERM makes it unready, and a little later makes it stop."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Shutdown"]


class Shutdown:
    """Whether it has begun.

    Args:
        notice: seconds between SIGTERM and the end of taking requests, for whoever asks /readyz to send them elsewhere.
    """

    def __init__(self, notice: float) -> None:
        self._notice = notice
        self.began = False

    @contextmanager
    def announced(self) -> Iterator[None]:
        """Within the block SIGTERM begins it first, and only then does what it did before. Enter it on the loop that
        serves; in another thread than the main one, where no signal comes, it does nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        stop = signal.getsignal(signal.SIGTERM)
        loop = asyncio.get_running_loop()

        def begin(number: int, frame: FrameType | None) -> None:
            again, self.began = self.began, True
            if not callable(stop):
                raise SystemExit(128 + number)
            if again or self._notice == 0:
                stop(number, frame)
            else:
                loop.call_soon_threadsafe(loop.call_later, self._notice, stop, number, None)

        signal.signal(signal.SIGTERM, begin)
        try:
            yield
        finally:
            if signal.getsignal(signal.SIGTERM) is begin:
                signal.signal(signal.SIGTERM, stop)
