"""A balanced part of the photos: at most so many of each label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from index.evaluation.protocols.chance import drawn
from training.data.listing import TrainingPhoto
from training.data.samplers.plan import Indices, refuse_small
from training.data.samplers.shuffled import Shuffled
from training.spec import Spec

__all__ = ["BalancedSampler", "balanced"]


class BalancedSampler(Spec):
    """At most so many photos of each label, the same ones in every epoch, shuffled.

    Source: the AliProducts winner (Liang and Zhang, 2020), section 1: "all the categories contain 30 images (using all
    images if the number in the category is less than 30)". That the choice stays is ours.

    Attributes:
        at_most: photos of a label.
    """

    kind: Literal["balanced"] = "balanced"
    at_most: int = Field(default=30, ge=1)

    def plan(self, photos: Sequence[TrainingPhoto], *, batch: int, seed: int) -> Shuffled:
        """Raises: PhotosUnusable: fewer than two photos."""
        refuse_small(photos)
        return Shuffled(balanced(photos, self.at_most, seed), batch, seed)


def balanced(photos: Sequence[TrainingPhoto], at_most: int, seed: int) -> Indices:
    """Places of at most so many photos of each label, drawn by name; in the list's order."""
    named: dict[str, dict[str, int]] = {}
    for place, photo in enumerate(photos):
        named.setdefault(photo.label, {})[f"{photo.name}\0{photo.box or ''}"] = place
    chosen = [own[name] for own in named.values() for name in drawn(own, seed)[:at_most]]
    return np.array(sorted(chosen), np.int64)
