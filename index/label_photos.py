"""The photos of a label, fetched from the index once and kept while nothing changes."""

from __future__ import annotations

import numpy as np

from index.engines import VectorIndex
from index.items import ItemTable
from index.ranking import LabelPhotos

__all__ = ["LabelPhotosCache"]

_MOST_ROWS = 50_000
"""Photos kept in memory over all labels: 200 MB at 512 dimensions."""


class LabelPhotosCache:
    """Fetches labels' photos, keeping those asked for last.

    Threads may ask side by side: at worst two fetch the same label.
    """

    def __init__(self, index: VectorIndex, table: ItemTable) -> None:
        self._index = index
        self._table = table
        self._kept: dict[str, LabelPhotos] = {}
        self._rows = 0

    def of(self, label: str) -> LabelPhotos:
        """The photos of a label that has some."""
        kept = self._kept.get(label)
        if kept is not None:
            return kept
        numbers = self._table.of_label(label)
        photos = LabelPhotos(label, numbers, self._index.reconstruct(numbers).astype(np.float64))
        if self._rows + len(numbers) > _MOST_ROWS:
            self._kept.clear()
            self._rows = 0
        self._kept[label] = photos
        self._rows += len(numbers)
        return photos

    def forget(self, label: str) -> None:
        """Call when a photo of `label` comes, changes or goes."""
        gone = self._kept.pop(label, None)
        if gone is not None:
            self._rows -= len(gone.numbers)
