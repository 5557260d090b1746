"""Photos as a network takes them, one at a time, each with the randomness of its own place in the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset

from embedding.preprocess import PreprocessSpec
from training.data.augment import Augmentation, AugmentSpec
from training.data.cache import PhotoCache
from training.data.chance import seeded
from training.data.classes import Classes
from training.data.listing import TrainingPhoto
from training.data.reading import PhotosSpec
from training.data.samplers.plan import by_label
from training.errors import RunFailed

__all__ = ["PhotoSet", "Sample", "Ticket"]


@dataclass(frozen=True)
class Ticket:
    """Which photo is wanted, and where in the run.

    Attributes:
        epoch, batch: 0..
        place: of the photo in the list.
        time: 0 where it comes for the first time in this epoch, 1 for the second: each time it looks different.
    """

    epoch: int
    batch: int
    place: int
    time: int = 0


@dataclass(frozen=True)
class Sample:
    """One photo.

    Attributes:
        image: (3, side, side) float32, preprocessed; None where it cannot be read.
        place: of the photo in the list; of the one that stands in for it, where it was skipped.
        unreadable: why this or another photo that was wanted cannot be read, a sentence each.
    """

    ticket: Ticket
    image: Tensor | None
    place: int
    unreadable: tuple[str, ...] = ()


class PhotoSet(Dataset[Sample]):
    """Decodes, augments and preprocesses.

    Args:
        photos: in the order that samplers count by.
        classes: what labels are numbered by.
        canvas: how the network is served.
        augment: steps of chance; none to judge by.
        spec: how photos are read.
        seed: the run's.
    """

    def __init__(
        self,
        photos: Sequence[TrainingPhoto],
        classes: Classes,
        canvas: PreprocessSpec,
        augment: AugmentSpec = (),
        *,
        spec: PhotosSpec | None = None,
        seed: int = 0,
    ) -> None:
        self.photos = photos
        self.spec = spec or PhotosSpec()
        self.labels = torch.tensor([classes.number(photo.label) for photo in photos], dtype=torch.int64)
        weights = torch.tensor([photo.weight for photo in photos], dtype=torch.float32)
        self.weights = None if bool((weights == 1).all()) else weights
        self.cache = PhotoCache(photos, self.spec)
        self.augmentation = Augmentation(augment, canvas)
        self._seed = seed
        self._others = by_label(photos) if self.spec.unreadable == "skip" else {}

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, ticket: Ticket) -> Sample:
        """Never raises for a photo that cannot be read: an error that crosses processes loses its words."""
        problems: list[str] = []
        for place in self._candidates(ticket.place):
            try:
                photo = self.cache.photo(place)
            except RunFailed as error:
                problems.append(error.message)
                continue
            with seeded(self._seed, "photo", ticket.epoch, ticket.place, ticket.time):
                image = torch.from_numpy(self.augmentation(photo))
            return Sample(ticket, image, place, tuple(problems))
        return Sample(ticket, None, ticket.place, tuple(problems))

    def _candidates(self, place: int) -> list[int]:
        """The photo, and where it may be skipped the others of its label, the following ones first."""
        if self.spec.unreadable == "fail":
            return [place]
        own: list[int] = self._others[self.photos[place].label].tolist()
        here = own.index(place)
        return own[here:] + own[:here]
