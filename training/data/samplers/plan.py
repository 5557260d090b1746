"""What all samplers give: the batches of every epoch, as a pure function of the seed and the epoch's number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from training.data.listing import TrainingPhoto
from training.errors import PhotosUnusable

__all__ = ["BatchPlan", "Indices", "by_label", "cut", "part_of", "refuse_small"]

Indices: TypeAlias = NDArray[np.int64]


class BatchPlan(Protocol):
    """A run's batches."""

    @property
    def group(self) -> int | None:
        """Photos stand in groups of this many, one label a group; None where they stand in no order."""

    def epoch(self, number: int) -> list[Indices]:
        """The batches of an epoch, each as places in the list of photos; the same whenever it is asked.

        A run that is taken up again at batch k goes on with ``epoch(number)[k:]``.
        """


def by_label(photos: Sequence[TrainingPhoto]) -> dict[str, Indices]:
    """Label -> places of its photos; labels in order."""
    places: dict[str, list[int]] = {}
    for place, photo in enumerate(photos):
        places.setdefault(photo.label, []).append(place)
    return {label: np.array(own, np.int64) for label, own in sorted(places.items())}


def cut(order: Indices, batch: int) -> list[Indices]:
    """Full batches; what is left at the end is dropped, as a batch of few photos has statistics of its own.

    Fewer photos than a batch are one batch.
    """
    if len(order) < batch:
        return [order]
    return np.split(order, range(batch, len(order), batch))[: len(order) // batch]


def part_of(batch: Indices, process: int, processes: int, group: int | None = None) -> Indices:
    """The share of one of several processes: consecutive photos, as many for each, whole groups.

    Raises:
        PhotosUnusable: the batch cannot be shared out evenly.
    """
    units, left = divmod(len(batch), processes * (group or 1))
    if left:
        whole = f" in groups of {group}" if group else ""
        raise PhotosUnusable(
            f"A batch of {len(batch)} photos{whole} cannot be shared by {processes} processes; make it a multiple of "
            f"{processes * (group or 1)}"
        )
    share = units * (group or 1)
    return batch[process * share : (process + 1) * share]


def refuse_small(photos: Sequence[TrainingPhoto], least: int = 2) -> None:
    """Raises: PhotosUnusable: fewer photos than a batch must have."""
    if len(photos) < least:
        raise PhotosUnusable(f"There are {len(photos)} photos to train on; a batch needs {least} at least")
