"""Encoded local features on disk, found by the item's number, so that memory does not grow with the gallery."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
import weakref
from collections import OrderedDict
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from index.verification.feature_table import FeatureTable, Place, read_place, write_features
from index.verification.features import LocalFeatures

__all__ = ["FeatureFile"]

_DECODED = 256  # photos that are kept decoded: about 16 MB


class FeatureFile:
    """Numbers, and the encoded features of a photo under each. Several threads may call every method at once.

    What is put in lies in a temporary file that nobody else sees and that is gone when it is closed, or when nobody
    holds this any more. Taking a photo out, or putting it in again, leaves its old bytes there unused until the whole
    is saved as a new file.

    Args:
        decoded: how many photos are kept decoded, the last used.
    """

    def __init__(self, *, decoded: int = _DECODED) -> None:
        self._lock = threading.Lock()
        self._base = FeatureTable.empty()
        self._base_file: BinaryIO | None = None
        self._hidden: set[int] = set()  # numbers of the base that are gone or replaced
        self._added: dict[int, Place] = {}
        self._added_file: BinaryIO = tempfile.TemporaryFile(prefix="whichone-features-", buffering=0)  # noqa: SIM115
        weakref.finalize(self, self._added_file.close)
        self._end = 0
        self._decoded: OrderedDict[Place, LocalFeatures] = OrderedDict()
        self._most_decoded = decoded

    @classmethod
    def open(cls, path: Path, *, decoded: int = _DECODED) -> FeatureFile:
        """Lie over a file that `save` wrote, which is never changed.

        Raises:
            FeatureFileCorrupt: its header, its table and its size do not fit together.
        """
        features = cls(decoded=decoded)
        try:
            features._base_file = path.open("rb", buffering=0)
            weakref.finalize(features, features._base_file.close)
            features._base = FeatureTable.read(features._base_file, path.name)
        except BaseException:
            features.close()
            raise
        return features

    def close(self) -> None:
        """Let go of the files; what was put in and not saved is lost."""
        self._added_file.close()
        if self._base_file is not None:
            self._base_file.close()

    def __enter__(self) -> FeatureFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        with self._lock:
            return len(self._base.numbers) - len(self._hidden) + len(self._added)

    def __contains__(self, number: int) -> bool:
        with self._lock:
            return self._place(number) is not None

    def numbers(self) -> NDArray[np.int64]:
        """The numbers held, ascending, (n,)."""
        with self._lock:
            hidden = np.fromiter(self._hidden, np.int64, len(self._hidden))
            added = np.fromiter(self._added, np.int64, len(self._added))
            return np.union1d(self._base.numbers[~np.isin(self._base.numbers, hidden)], added)

    def put(self, number: int, data: bytes) -> None:
        """Hold `data`, as `LocalFeatures.to_bytes` makes it, under `number`, in place of what was there.

        Raises:
            FeaturesCorrupt: it is something else.
            OSError: the disk is full; what was there stays.
        """
        LocalFeatures.from_bytes(data)
        with self._lock:
            place = Place(self._added_file.fileno(), self._end, len(data))
            if os.pwrite(place.descriptor, data, place.offset) != len(data):
                raise OSError(errno.ENOSPC, f"the temporary file took less than {len(data)} bytes: is its disk full?")
            self._end += len(data)
            self._added[number] = place
            self._hide(number)

    def discard(self, number: int) -> None:
        """Let go of `number`, if it is there."""
        with self._lock:
            self._added.pop(number, None)
            self._hide(number)

    def get(self, number: int) -> LocalFeatures | None:
        """The features under `number`; None where there are none.

        Raises:
            FeaturesCorrupt: they changed on the disk.
        """
        with self._lock:
            place = self._place(number)
            if place is None:
                return None
            if place in self._decoded:
                self._decoded.move_to_end(place)
                return self._decoded[place]
        features = LocalFeatures.from_bytes(read_place(place))
        with self._lock:
            # Kept under the place, not the number: the number may have come to mean another photo meanwhile.
            self._decoded[place] = features
            while len(self._decoded) > self._most_decoded:
                self._decoded.popitem(last=False)
        return features

    def save(self, path: Path) -> None:
        """Write all that is held now to `path`, flushed to the disk.

        Raises:
            FeatureFileCorrupt: the disk no longer has all of it.
        """
        numbers = self.numbers()
        with self._lock:
            places = [(number, self._place(number)) for number in numbers.tolist()]
        write_features(path, [(number, place) for number, place in places if place is not None])

    def _hide(self, number: int) -> None:
        if self._base.find(number) is not None:
            self._hidden.add(number)

    def _place(self, number: int) -> Place | None:
        """Where the bytes of a number lie. The caller holds the lock."""
        if number in self._added:
            return self._added[number]
        found = None if number in self._hidden else self._base.find(number)
        if found is None or self._base_file is None:
            return None
        return Place(self._base_file.fileno(), *found)
