"""Ctrl-C and SIGTERM end a run after its step, with a checkpoint; a second one ends it at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

import torch
from torch import distributed

from training.run.gathering import processes

__all__ = ["Interruption"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)
TOGETHER = 10


class Interruption:
    """Inside `with`, signals are noted instead of obeyed.

    Outside the main thread, where Python takes no handlers, it notes nothing.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {one: signal.signal(one, self._note) for one in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def asked(self, device: torch.device, step: int) -> bool:
        """Whether this process, or any that trains with it, was told to stop; they must stop at the same step.

        Several processes ask each other at every `TOGETHER` steps alone: an answer waits for all that GPUs have to do.

        Args:
            device: on which processes talk.
            step: of the run.
        """
        own = self.received is not None
        if processes() == 1:
            return own
        if step % TOGETHER:
            return False
        flag = torch.tensor([float(own)], device=device)
        distributed.all_reduce(flag)
        return bool(flag.item())

    def obey(self) -> None:
        """End as the signal would have.

        Raises:
            KeyboardInterrupt: after SIGINT, or where another process was told to stop.
            SystemExit: with 128 + 15 after SIGTERM.
        """
        if self.received is signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.received = signal.Signals(number)
        self._restore()

    def _restore(self) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)
        self._before = {}
