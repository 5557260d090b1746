"""Labels as numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from training.data.listing import TrainingPhoto

__all__ = ["UNKNOWN", "Classes"]

UNKNOWN = -1
"""The number of a photo whose label is none of the classes."""


@dataclass(frozen=True)
class Classes:
    """The labels that a network learns; a label's number is its place.

    Attributes:
        labels: sorted.
    """

    labels: tuple[str, ...]

    @classmethod
    def of(cls, photos: Iterable[TrainingPhoto]) -> Classes:
        """Those of the photos, without the empty label."""
        return cls(tuple(sorted({photo.label for photo in photos} - {""})))

    def __len__(self) -> int:
        return len(self.labels)

    def number(self, label: str) -> int:
        """0.. of a label; `UNKNOWN` of one that is not there."""
        return self._numbers.get(label, UNKNOWN)

    def counts(self, photos: Sequence[TrainingPhoto]) -> Tensor:
        """(classes,) int64: how many of the photos each has."""
        numbers = [number for number in (self.number(photo.label) for photo in photos) if number != UNKNOWN]
        return torch.bincount(torch.tensor(numbers, dtype=torch.int64), minlength=len(self))

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {label: number for number, label in enumerate(self.labels)}
