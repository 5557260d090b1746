"""Batches of an epoch, made by worker processes or in this one: the same either way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from training.batch import Batch
from training.data.chance import seeded
from training.data.dataset import PhotoSet, Sample, Ticket
from training.data.mixing import Mixer
from training.data.samplers import BatchPlan, part_of
from training.errors import RunFailed

__all__ = ["Loaded", "PhotoLoader"]


@dataclass(frozen=True)
class Loaded:
    """A batch, and what is to be told of it.

    Attributes:
        batch: for the network.
        places: (n,) int64, of its photos in the list.
        number: of the batch in its epoch, 0..
        unreadable: a sentence for each photo that was skipped.
    """

    batch: Batch
    places: Tensor
    number: int
    unreadable: tuple[str, ...] = ()

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Loaded:
        """With its tensors on a device; `places` stay where they are."""
        return replace(self, batch=_mapped(self.batch, lambda one: one.to(device, non_blocking=non_blocking)))

    def pin_memory(self) -> Loaded:
        """For quicker copies to a GPU; `DataLoader` asks for it."""
        return replace(self, batch=_mapped(self.batch, Tensor.pin_memory))


def _mapped(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    return replace(
        batch,
        images=change(batch.images),
        labels=change(batch.labels),
        mixed=None if batch.mixed is None else change(batch.mixed),
        weights=None if batch.weights is None else change(batch.weights),
    )


class PhotoLoader:
    """A plan's batches, from any epoch and any batch on.

    Args:
        photos: to load.
        plan: which photos meet; see `training.data.samplers`.
        mixer: CutMix or MixUp.
        seed: the run's.
        workers: processes that read photos; 0 reads in this one. They do not change what comes.
        pin: for a GPU.
        process, processes: of several processes that train together, this one gets its part of every batch.
    """

    def __init__(
        self,
        photos: PhotoSet,
        plan: BatchPlan,
        *,
        mixer: Mixer | None = None,
        seed: int = 0,
        workers: int = 0,
        pin: bool = False,
        process: int = 0,
        processes: int = 1,
    ) -> None:
        self.photos = photos
        self._plan = plan
        self._share = (process, processes)
        self._workers = workers
        self._pin = pin
        self._collate = _Collate(photos, plan.group, mixer, seed, process)
        self._tickets = _Tickets()
        self._loader: DataLoader[Any] | None = None

    def batches(self, epoch: int) -> int:
        """How many there are in an epoch."""
        return len(self._plan.epoch(epoch))

    def epoch(self, number: int, start: int = 0) -> Iterator[Loaded]:
        """The batches of an epoch from `start` on.

        Raises:
            RunFailed: a photo cannot be read; where that is to be skipped: none of its label can.
        """
        self._tickets.batches = self._of_epoch(number)[start:]
        self._loader = self._loader or self._made()
        for loaded in self._loader:
            if isinstance(loaded, _Failure):
                self.close()
                raise RunFailed(loaded.message)
            yield loaded

    def close(self) -> None:
        """End the workers; a later epoch starts new ones.

        Better than to leave it to the garbage collector, which may take down what ends them before it ends them: they
        are then waited for in vain, some seconds each.
        """
        self._loader = None

    def _made(self) -> DataLoader[Any]:
        self.photos.cache.fill()  # before there are workers, so that they share its memory
        return DataLoader(
            self.photos,
            batch_sampler=self._tickets,
            collate_fn=self._collate,
            num_workers=self._workers,
            persistent_workers=self._workers > 0,
            pin_memory=self._pin,
            generator=torch.Generator(),  # else it would draw a number of torch's own at every epoch
        )

    def _of_epoch(self, number: int) -> list[list[Ticket]]:
        seen: dict[int, int] = {}
        batches: list[list[Ticket]] = []
        for count, whole in enumerate(self._plan.epoch(number)):
            tickets: list[Ticket] = []
            for place in whole.tolist():
                time = seen.get(place, 0)
                seen[place] = time + 1
                tickets.append(Ticket(number, count, place, time))
            own = part_of(np.arange(len(whole)), *self._share, self._plan.group)
            batches.append([tickets[index] for index in own.tolist()])
        return batches


class _Tickets:
    """The batches that are wanted next. The loader asks anew at every epoch, also where its workers live on."""

    def __init__(self) -> None:
        self.batches: Sequence[list[Ticket]] = ()

    def __iter__(self) -> Iterator[list[Ticket]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


@dataclass(frozen=True)
class _Failure:
    message: str


@dataclass(frozen=True)
class _Collate:
    photos: PhotoSet
    group: int | None
    mixer: Mixer | None
    seed: int
    process: int

    def __call__(self, samples: list[Sample]) -> Loaded | _Failure:
        images = [sample.image for sample in samples if sample.image is not None]
        if len(images) < len(samples):
            return _Failure(next(sample.unreadable[0] for sample in samples if sample.image is None))
        places = torch.tensor([sample.place for sample in samples], dtype=torch.int64)
        first = samples[0].ticket
        labels = self.photos.labels[places]
        with seeded(self.seed, "mix", first.epoch, first.batch, self.process):
            pixels, mixed = self.mixer(torch.stack(images), labels) if self.mixer else (torch.stack(images), None)
        weights = None if self.photos.weights is None else self.photos.weights[places]
        problems = tuple(problem for sample in samples for problem in sample.unreadable)
        return Loaded(Batch(pixels, labels, mixed, weights, None, self.group), places, first.batch, problems)
