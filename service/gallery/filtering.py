"""What filters select in one gallery: labels from its replica, metadata from the database.

To find the items of some metadata takes the database a look at all of them. What was found is kept for the filters that
were asked for last, and after a change only the items that it touched are looked at again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sized
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from index.engines import Selection
from index.filter import Filter, absent_labels, selected
from index.items import ItemTable
from service.database import Database
from service.errors import UnknownGallery, UnknownLabel
from service.gallery.metadata_repository import MetadataRepository
from service.gallery.repository import GalleryRepository

__all__ = ["MOST_FILTERS", "Filters", "Matching", "select_items"]

V = TypeVar("V")

MOST_FILTERS = 64
"""Filters of a gallery that are kept."""

_MOST_NUMBERS = 4_000_000
"""Items that they select in all: 32 MB. The last one is kept whatever it selects."""

_ECHO = 5


@dataclass(frozen=True, slots=True)
class Matching:
    """The items whose metadata matches a filter.

    Attributes:
        change: of the gallery, at which they do.
        numbers: (n,) ascending; None where the filter does not ask for metadata.
    """

    change: int
    numbers: NDArray[np.int64] | None


class Filters:
    """Of one gallery. Thread-safe."""

    def __init__(self, database: Database, gallery: str) -> None:
        self._database = database
        self._gallery = gallery
        self._matching: _Kept[Matching] = _Kept()
        self._selections: _Kept[tuple[int, Selection]] = _Kept()

    def matching(self, wanted: Filter, change: int) -> Matching:
        """The items whose metadata matches, as of `change` or a later change.

        Raises:
            UnknownGallery: it is gone.
        """
        if not wanted.where:
            return Matching(change, None)
        key = wanted.model_dump_json(include={"where"})
        kept = self._matching.get(key)
        if kept is not None and kept.change >= change:
            return kept
        found = self._found(wanted, kept)
        self._matching.put(key, found, found.numbers)
        return found

    def selection(self, table: ItemTable, wanted: Filter, matching: Matching) -> Selection:
        """What of the gallery a filter selects; the same object for the same filter at the same change.

        Args:
            table: the gallery's items at the change of `matching`.

        Raises:
            UnknownLabel: see `select_items`.
        """
        key = wanted.model_dump_json()
        kept = self._selections.get(key)
        if kept is not None and kept[0] == matching.change:
            return kept[1]
        selection = select_items(table, wanted, matching.numbers, gallery=self._gallery)
        self._selections.put(key, (matching.change, selection), selection.listed)
        return selection

    def _found(self, wanted: Filter, kept: Matching | None) -> Matching:
        with self._database.read() as session:
            row = GalleryRepository(session).by_name(self._gallery)
            if row is None:
                raise UnknownGallery(f"gallery {self._gallery!r} is gone", gallery=self._gallery)
            items = MetadataRepository(session)
            if kept is None or kept.numbers is None:
                return Matching(row.change, items.matching(row.id, wanted.where))
            changed = items.changed(row.id, kept.change)
            if len(changed) == 0:
                return Matching(row.change, kept.numbers)
            unchanged = kept.numbers[~np.isin(kept.numbers, changed)]
            now = items.matching(row.id, wanted.where, since=kept.change)
            return Matching(row.change, np.union1d(unchanged, now))


def select_items(table: ItemTable, wanted: Filter, matching: NDArray[np.int64] | None, *, gallery: str) -> Selection:
    """What a filter selects of a gallery's items.

    Args:
        matching: (n,) ascending, the items whose metadata matches; None where the filter does not ask for metadata.

    Raises:
        UnknownLabel: the filter names labels that no photo carries.
    """
    absent = absent_labels(table, wanted.labels or ())
    if absent:
        named = ", ".join(map(repr, absent[:_ECHO])) + (f" and {len(absent) - _ECHO} more" if absent[_ECHO:] else "")
        raise UnknownLabel(
            f"`labels` names what no photo of gallery {gallery!r} carries: {named}; GET /labels lists its labels",
            field="labels",
            gallery=gallery,
            labels=absent[:_ECHO],
        )
    return selected(table, wanted.labels, matching)


class _Kept(Generic[V]):
    """Values by key, the least lately used of which go first. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: OrderedDict[str, tuple[V, int]] = OrderedDict()

    def get(self, key: str) -> V | None:
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, key: str, value: V, numbers: Sized | None) -> None:
        with self._lock:
            self._values[key] = (value, 0 if numbers is None else len(numbers))
            self._values.move_to_end(key)
            while len(self._values) > 1 and (
                len(self._values) > MOST_FILTERS or sum(size for _, size in self._values.values()) > _MOST_NUMBERS
            ):
                self._values.popitem(last=False)
