"""Which vectors a search may answer with: these numbers alone, or all but these."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from index.engines.protocol import Mask, Numbers

__all__ = ["Selection"]


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """A set of numbers, or its complement. Engines prepare one once and keep it: pass the same object again.

    Attributes:
        listed: ascending, distinct, shape (m,).
        inverted: whether all numbers but `listed` are meant.
    """

    listed: Numbers
    inverted: bool = False

    @classmethod
    def only(cls, numbers: Iterable[int] | Numbers) -> Selection:
        """These numbers alone."""
        return cls(_ascending(numbers))

    @classmethod
    def without(cls, numbers: Iterable[int] | Numbers) -> Selection:
        """All numbers but these."""
        return cls(_ascending(numbers), inverted=True)

    def among(self, numbers: Numbers) -> Mask:
        """Which of `numbers` (n,), in any order, are selected, shape (n,)."""
        if len(self.listed) == 0:
            return np.full(len(numbers), self.inverted, np.bool_)
        at = np.minimum(np.searchsorted(self.listed, numbers), len(self.listed) - 1)
        return np.asarray((self.listed[at] == numbers) != self.inverted, np.bool_)

    def places(self, ascending: Numbers) -> Mask:
        """The same for `ascending` (n,), sooner where few of many are listed."""
        mask = np.full(len(ascending), self.inverted, np.bool_)
        if len(ascending):
            at = np.minimum(np.searchsorted(ascending, self.listed), len(ascending) - 1)
            mask[at[ascending[at] == self.listed]] = not self.inverted
        return mask

    def __and__(self, other: Selection) -> Selection:
        """What both select."""
        if self.inverted and other.inverted:
            return Selection(np.union1d(self.listed, other.listed), inverted=True)
        first, second = (other, self) if self.inverted else (self, other)
        return Selection(first.listed[second.among(first.listed)])


def _ascending(numbers: Iterable[int] | Numbers) -> Numbers:
    return np.unique(np.asarray(numbers if isinstance(numbers, np.ndarray) else list(numbers), np.int64))
