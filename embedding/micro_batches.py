"""Calls of several threads gathered into one: a GPU takes hardly longer for sixteen photos than for one."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["MicroBatches"]

Array = NDArray[np.float32]


class _Waiting:
    """One caller's rows, and what became of them."""

    def __init__(self, rows: Array) -> None:
        self.rows = rows
        self.result: Array | None = None
        self.error: BaseException | None = None


class MicroBatches:
    """Runs a function of rows for many threads, with the rows of all who wait in one call.

    There is no timer: a caller who finds the function free runs it at once, and whoever comes meanwhile is taken along
    by the next. So a lone caller never waits, and batches grow just as the load does. Thread-safe.

    Args:
        run: rows (n, ...) -> results (n, ...); called by one thread at a time.
        most: rows of one call; more only where one caller brings more.
    """

    def __init__(self, run: Callable[[Array], Array], most: int) -> None:
        self._run = run
        self._most = most
        self._turn = threading.Lock()
        self._waiting: deque[_Waiting] = deque()

    def __call__(self, rows: Array) -> Array:
        """The results (n, ...) of one caller's rows (n, ...).

        Raises:
            whatever `run` raises for the call that these rows were in.
        """
        mine = _Waiting(rows)
        self._waiting.append(mine)
        while mine.result is None and mine.error is None:
            with self._turn:
                if mine.result is None and mine.error is None:
                    self._run_together(self._gathered())
        if mine.error is not None:
            raise mine.error
        assert mine.result is not None  # noqa: S101  for mypy: the loop saw to it
        return mine.result

    def _gathered(self) -> list[_Waiting]:
        """Those who wait longest, as far as their rows are of one shape and within the limit. Only under the turn."""
        together = [self._waiting.popleft()]
        rows = len(together[0].rows)
        while self._waiting:
            following = self._waiting[0]
            rows += len(following.rows)
            if rows > self._most or following.rows.shape[1:] != together[0].rows.shape[1:]:
                break
            together.append(self._waiting.popleft())
        return together

    def _run_together(self, together: list[_Waiting]) -> None:
        try:
            results = self._run(np.concatenate([one.rows for one in together]))
        except BaseException as error:  # every caller is told, in its own thread
            for one in together:
                one.error = error
            return
        at = 0
        for one in together:
            one.result = results[at : at + len(one.rows)]
            at += len(one.rows)
