"""Every photo once an epoch, in random order; or all of them as they come, to judge by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.data.chance import numbers
from training.data.listing import TrainingPhoto
from training.data.samplers.plan import Indices, cut, refuse_small
from training.spec import Spec

__all__ = ["InOrder", "Shuffled", "ShuffledSampler"]


class ShuffledSampler(Spec):
    """Every photo once an epoch; the photos that fill no batch are others in every epoch."""

    kind: Literal["shuffled"] = "shuffled"

    def plan(self, photos: Sequence[TrainingPhoto], *, batch: int, seed: int) -> Shuffled:
        """Raises: PhotosUnusable: fewer than two photos."""
        refuse_small(photos)
        return Shuffled(np.arange(len(photos)), batch, seed)


@dataclass(frozen=True)
class Shuffled:
    """The places given, shuffled anew every epoch."""

    places: Indices
    batch: int
    seed: int
    group: None = None

    def epoch(self, number: int) -> list[Indices]:
        return cut(numbers(self.seed, "shuffled", number).permutation(self.places), self.batch)


@dataclass(frozen=True)
class InOrder:
    """All photos, the same every epoch; the last batch may be smaller."""

    photos: int
    batch: int
    group: None = None

    def epoch(self, number: int) -> list[Indices]:  # noqa: ARG002
        return np.split(np.arange(self.photos), range(self.batch, self.photos, self.batch))
