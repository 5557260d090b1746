"""Labels sampled more evenly than their photos are: for long tails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from training.data.chance import numbers
from training.data.listing import TrainingPhoto
from training.data.samplers.plan import Indices, by_label, cut, refuse_small
from training.spec import Spec

__all__ = ["ClassAware", "ClassAwareSampler"]


class ClassAwareSampler(Spec):
    """A label with n photos is sampled in proportion to n^power; an epoch has as many photos as there are.

    Source: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition (ICLR 2020), section 3,
    equation 1; power 0 is the class-aware sampling of Shen, Lin and Huang, Relay Backpropagation (ECCV 2016), 1/2 the
    square root of Mahajan et al., Exploring the Limits of Weakly Supervised Pretraining (ECCV 2018).

    Attributes:
        power: 0 samples all labels alike, 1 all photos.
    """

    kind: Literal["class_aware"] = "class_aware"
    power: float = Field(default=0.5, ge=0, le=1)

    def plan(self, photos: Sequence[TrainingPhoto], *, batch: int, seed: int) -> ClassAware:
        """Raises: PhotosUnusable: fewer than two photos."""
        refuse_small(photos)
        return ClassAware(tuple(by_label(photos).values()), self.power, batch, seed)


@dataclass(frozen=True)
class ClassAware:
    """A label gets its share of the epoch up to rounding, which chance decides; and its photos take turns."""

    labels: tuple[Indices, ...]
    power: float
    batch: int
    seed: int
    group: None = None

    def epoch(self, number: int) -> list[Indices]:
        random = numbers(self.seed, "class-aware", number)
        chosen = [
            np.resize(random.permutation(own), times)
            for own, times in zip(self.labels, self._times(random), strict=True)
        ]
        return cut(random.permutation(np.concatenate(chosen)), self.batch)

    def _times(self, random: np.random.Generator) -> Indices:
        """How often each label comes: systematic sampling, so that each is within one of its share."""
        sizes = np.array([len(own) for own in self.labels], np.float64)
        shares = sizes**self.power
        ends = np.cumsum(shares) / shares.sum() * sizes.sum()
        ends[-1] = sizes.sum()
        times: Indices = np.diff(np.ceil(ends - random.random()), prepend=0).astype(np.int64)
        return times
