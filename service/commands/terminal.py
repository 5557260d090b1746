"""Talking to a person or a program: tables and JSON on stdout, progress and errors on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["note", "print_json", "progress_bar", "stderr", "stdout"]


WIDTH_OF_A_PIPE = 150


def stdout() -> Console:
    """For results. Made anew, as tests and pipes swap the stream; wide enough for tables when piped."""
    width = None if sys.stdout.isatty() else WIDTH_OF_A_PIPE
    return Console(file=sys.stdout, highlight=False, width=width)


def stderr() -> Console:
    return Console(file=sys.stderr, highlight=False)


def note(message: str) -> None:
    """A remark that is no result: on stderr, so that stdout stays parsable."""
    stderr().print(message, markup=False, soft_wrap=True)


def print_json(document: Any) -> None:
    """Strict JSON (no NaN), one document."""
    print(json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2))


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A function to report (what, done, total) to; it draws on stderr, and nothing when that is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = stderr()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[str, Any] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield report
