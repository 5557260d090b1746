"""Takes a gallery's changes into a new generation of the same engine, in the background, when there are many.

Changes lie flat over the generation that they came after, and every search goes through all of them: right, but slower
with each. A merge is a publication, by one process: what it writes is read from the database, and searches and changes
go on meanwhile. Every process then turns to the new generation by itself, with what came since laid over it.
"""

from __future__ import annotations

import time

from structlog.typing import FilteringBoundLogger

from embedding.errors import WhichoneError
from service.background import BackgroundThread
from service.errors import GalleryPinned, PinsBroken
from service.gallery.galleries import Galleries
from service.gallery.replica import Replica, State
from service.locks import try_file_lock

__all__ = ["Merger", "merge_is_due"]

_TICK = 1.0

_SHARE = 0.1
"""Of a gallery's photos: what is added to a large one over and over is not worth rebuilding all of it each time."""

_PAUSE = 60.0
"""Seconds before a merge that failed is tried again, or ten times as long as it took, if that is more."""
_PATIENCE = 10.0


def merge_is_due(state: State, after: int) -> bool:
    """Whether so many changes lie over a generation that it should take them in.

    Args:
        after: changes of which a merge is worth it, 0 for never; a tenth of the photos if that is more.
    """
    return after > 0 and state.unmerged() >= max(after, _SHARE * len(state.recognizer))


class Merger(BackgroundThread):
    """A thread that looks for galleries with many changes; several processes may each have one.

    Args:
        after: see `merge_is_due`.
    """

    def __init__(self, galleries: Galleries, log: FilteringBoundLogger, *, after: int) -> None:
        super().__init__("merger", "a look for galleries to merge", _TICK, log)
        self._galleries = galleries
        self._after = after
        self._not_before: dict[str, float] = {}
        self._seen: dict[str, int] = {}

    def look(self) -> None:
        """Merge what is due."""
        for replica in self._galleries.replicas():
            if not self._stop.is_set() and time.monotonic() >= self._not_before.get(replica.name, 0.0):
                self._try(replica)

    def _try(self, replica: Replica) -> None:
        began = time.monotonic()
        try:
            self._look_at(replica)
        except PinsBroken as error:  # whose message names labels
            pins = [answer["id"] for answer in error.details["broken"]]
            self._log.warning("merge failed", gallery=replica.name, code=error.code, pins=pins)
        except WhichoneError as error:  # such as a full disk
            self._log.warning("merge failed", gallery=replica.name, code=error.code, detail=error.message)
        except Exception:
            self._log.exception("merge failed unexpectedly", gallery=replica.name)
        else:
            return
        took = time.monotonic() - began
        self._not_before[replica.name] = time.monotonic() + max(_PAUSE, _PATIENCE * took)

    def _look_at(self, replica: Replica) -> None:
        self._take_up(replica)
        if replica.change == self._seen.get(replica.name):  # an engine may have to ask its server how much it holds
            return
        change, due = replica.inspect(lambda state: (state.change, merge_is_due(state, self._after)))
        if due:
            self._merge_alone(replica)
            self._take_up(replica)
        else:
            self._seen[replica.name] = change

    def _merge_alone(self, replica: Replica) -> None:
        with try_file_lock(self._galleries.root(replica.name) / "merge.lock") as mine:
            # Another process may have been quicker: then there is a new generation to turn to, and nothing is due.
            if mine and replica.inspect(lambda state: not state.behind and merge_is_due(state, self._after)):
                self._merge(replica)

    def _merge(self, replica: Replica) -> None:
        began = time.monotonic()
        try:
            generation = self._galleries.publish(replica.name, keep_rollback=True)
        except GalleryPinned:  # rolled back a moment ago
            return
        took = round(time.monotonic() - began, 3)
        self._log.info("merged", gallery=replica.name, generation=generation.number, seconds=took)

    def _take_up(self, replica: Replica) -> None:
        if replica.take_up():
            self._log.info("generation taken up", gallery=replica.name)
