"""Each photo with others of its label: what LIO compares an object with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from training.data.chance import numbers
from training.data.listing import TrainingPhoto
from training.data.samplers.plan import Indices, by_label, cut, refuse_small
from training.errors import PhotosUnusable
from training.spec import Spec

__all__ = ["Companions", "CompanionsSampler"]


class CompanionsSampler(Spec):
    """Every photo once an epoch as the first of a group, followed by others of its label.

    Source: JDAI-CV/LIO, classification/: 16 photos with 3 positives each. Where a label has too few others they come
    several times, and a label's only photo accompanies itself (the release stops there).

    Attributes:
        positives: others beside each photo. The batch counts all photos: 64 are 16 groups of 1 + 3.
    """

    kind: Literal["companions"] = "companions"
    positives: int = Field(default=3, ge=1)

    def plan(self, photos: Sequence[TrainingPhoto], *, batch: int, seed: int) -> Companions:
        """Raises: PhotosUnusable: fewer than two photos, or a batch that is no multiple of a group."""
        refuse_small(photos)
        group = 1 + self.positives
        if batch % group:
            raise PhotosUnusable(
                f"A batch of {batch} photos is no multiple of a photo and its {self.positives} positives; make it one "
                f"of {group}"
            )
        return Companions(tuple(by_label(photos).values()), group, batch, seed)


@dataclass(frozen=True)
class Companions:
    """Batches of `batch` / `group` groups, group after group."""

    labels: tuple[Indices, ...]
    group: int
    batch: int
    seed: int

    def epoch(self, number: int) -> list[Indices]:
        random = numbers(self.seed, "companions", number)
        groups = np.concatenate([self._groups(own, random) for own in self.labels])
        order = random.permutation(len(groups))
        return [groups[own].reshape(-1) for own in cut(order, self.batch // self.group)]

    def _groups(self, own: Indices, random: np.random.Generator) -> Indices:
        """(photos of the label, group): each photo, and others of its label in random order."""
        if len(own) == 1:
            return np.tile(own, (1, self.group))
        groups = np.empty((len(own), self.group), np.int64)
        for place, photo in enumerate(own):
            others = np.delete(own, place)
            groups[place] = photo, *np.resize(random.permutation(others), self.group - 1)
        return groups
