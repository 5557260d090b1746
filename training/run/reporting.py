"""What a person sees of a run while it goes on: a live line in a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from training.run.metrics import MetricName

__all__ = ["ConsoleReporter", "Reporter", "SilentReporter"]


class Reporter(Protocol):
    """Told what happens."""

    def note(self, text: str) -> None:
        """Something to read."""

    def stage(self, title: str, steps: int, done: int) -> None:
        """A stage begins, or goes on after `done` of its steps."""

    def step(self, done: int, photos: int, lr: float) -> None:
        """A step was taken.

        Args:
            done: steps of the stage so far.
            photos: of this step, in all processes.
            lr: highest rate.
        """

    def losses(self, losses: Mapping[str, float]) -> None:
        """Means over the last steps."""

    def epoch(self, title: str, metrics: Mapping[MetricName, float], best: bool) -> None:
        """An epoch was judged."""


class SilentReporter:
    """Says nothing: for processes other than the first, and for tests."""

    def note(self, text: str) -> None: ...

    def stage(self, title: str, steps: int, done: int) -> None: ...

    def step(self, done: int, photos: int, lr: float) -> None: ...

    def losses(self, losses: Mapping[str, float]) -> None: ...

    def epoch(self, title: str, metrics: Mapping[MetricName, float], best: bool) -> None: ...


class ConsoleReporter:
    """On a console, as a context manager."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None, facts="", visible=False)
        self._losses = ""
        self._speed = _Speed()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def note(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def stage(self, title: str, steps: int, done: int) -> None:
        self.note(f"{title}: {steps} steps" + (f", going on after {done}" if done else ""))
        self._speed = _Speed()
        self._progress.update(self._task, description=title, total=steps, completed=done, visible=True, facts="")

    def losses(self, losses: Mapping[str, float]) -> None:
        self._losses = "  ".join(f"{name} {value:.4g}" for name, value in losses.items())

    def step(self, done: int, photos: int, lr: float) -> None:
        speed = self._speed.after(photos)
        facts = f"{self._losses}  lr {lr:.2g}  {speed:.0f} photos/s"
        self._progress.update(self._task, completed=done, facts=facts)

    def epoch(self, title: str, metrics: Mapping[MetricName, float], best: bool) -> None:
        figures = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items()) or "nothing to judge by"
        self.note(f"{title}: {self._losses}  {figures}" + ("  (best)" if best else ""))


class _Speed:
    """Photos a second, the recent ones counting most."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._mean = 0.0

    def after(self, photos: int) -> float:
        now = time.monotonic()
        rate = photos / max(now - self._last, 1e-9)
        self._mean = rate if not self._mean else 0.95 * self._mean + 0.05 * rate
        self._last = now
        return self._mean
