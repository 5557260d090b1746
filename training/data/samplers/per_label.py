"""P labels a batch, K photos of each: what batch-hard triplets are mined from."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from training.data.chance import numbers
from training.data.listing import TrainingPhoto
from training.data.samplers.plan import Indices, by_label
from training.errors import PhotosUnusable
from training.spec import Spec

__all__ = ["PerLabel", "PerLabelSampler"]

NAMED = 3
"""How many offenders a message names."""


class PerLabelSampler(Spec):
    """P x K: batches of P different labels with K photos each.

    Source: Hermans, Beyer and Leibe, In Defense of the Triplet Loss (2017), section 2; there, an epoch has each label
    once. Here it has each photo about once: a label's photos are shuffled and cut into rows of K, the last row filled
    with others of the label, and a label's rows are spread over the epoch. Rows that find no P different labels at the
    end are dropped.

    Attributes:
        photos: K; P is the batch divided by it.
        one_photo: what becomes of labels with one photo, which have no positive: `refuse` them, `leave_out`, or
            `repeat` the photo, which then is its own positive under another augmentation.
    """

    kind: Literal["per_label"] = "per_label"
    photos: int = Field(default=4, ge=2)
    one_photo: Literal["refuse", "leave_out", "repeat"] = "refuse"

    def plan(self, photos: Sequence[TrainingPhoto], *, batch: int, seed: int) -> PerLabel:
        """Raises: PhotosUnusable: labels with one photo, too few labels, or a batch that is no multiple of K."""
        if batch % self.photos or batch < 2 * self.photos:
            raise PhotosUnusable(
                f"A batch of {batch} photos cannot hold several labels with {self.photos} each; make it a multiple, at "
                f"least {2 * self.photos}"
            )
        labels = by_label(photos)
        single = [label for label, own in labels.items() if len(own) < 2]
        if single and self.one_photo == "refuse":
            raise PhotosUnusable(
                f"{len(single)} label(s) have one photo, such as {', '.join(map(repr, single[:NAMED]))}, and the "
                "sampler per_label needs two; add photos, or set its one_photo to leave_out or repeat",
                labels=single,
            )
        usable = [own for own in labels.values() if len(own) > 1 or self.one_photo == "repeat"]
        if len(usable) < batch // self.photos:
            raise PhotosUnusable(
                f"A batch of {batch} photos with {self.photos} a label needs {batch // self.photos} labels; there are "
                f"{len(usable)} that can be used: make the batch smaller"
            )
        return PerLabel(tuple(usable), self.photos, batch, seed)


@dataclass(frozen=True)
class PerLabel:
    """Batches of `batch` / `photos` rows; a row is one label's."""

    labels: tuple[Indices, ...]
    photos: int
    batch: int
    seed: int

    @property
    def group(self) -> int:
        return self.photos

    def epoch(self, number: int) -> list[Indices]:
        random = numbers(self.seed, "per-label", number)
        rows = [(when, label, row) for label, own in enumerate(self.labels) for when, row in self._rows(own, random)]
        rows.sort(key=lambda one: one[:2])
        different = self.batch // self.photos
        return [np.concatenate(one) for one in _dealt(((label, row) for _, label, row in rows), different)]

    def _rows(self, own: Indices, random: np.random.Generator) -> list[tuple[float, Indices]]:
        """A label's photos in rows of K, each with a moment of the epoch: one in each of as many equal spans."""
        order = random.permutation(own)
        count = -(-len(own) // self.photos)
        lacking = count * self.photos - len(own)
        # The last row is filled with photos that it does not have, as far as there are others.
        filled = np.concatenate([order, np.resize(order, lacking)]).reshape(count, self.photos)
        moments = (np.arange(count) + random.random(count)) / count
        return list(zip(moments.tolist(), filled, strict=True))


def _dealt(rows: Iterator[tuple[int, Indices]], different: int) -> Iterator[list[Indices]]:
    """Batches of rows with different labels: a row whose label is in the batch already waits for the next one."""
    waiting: dict[int, deque[Indices]] = {}
    while True:
        batch: dict[int, Indices] = {}
        for label in list(waiting)[:different]:
            batch[label] = waiting[label].popleft()
            if not waiting[label]:
                del waiting[label]
        while len(batch) < different:
            following = next(rows, None)
            if following is None:
                return
            label, row = following
            if label in batch:
                waiting.setdefault(label, deque()).append(row)
            else:
                batch[label] = row
        yield list(batch.values())
