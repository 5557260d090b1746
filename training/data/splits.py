"""Which photos a network learns from and which it is judged by: by the list, by label, by photo, or as for the whales.

Every draw goes by the photo's name or the label (`index.evaluation.protocols.chance`), so that it stays when the tree
moves or photos are added. Draws are made from the photos that the list calls train, or nothing; those that it calls val
or test are left out of a drawn split.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from index.evaluation.protocols.chance import drawn, drawn_evenly
from training.data.listing import TrainingPhoto
from training.errors import PhotosUnusable
from training.spec import Spec

__all__ = ["ByLabelSplit", "ByPhotoSplit", "ListedSplit", "NoSplit", "Split", "SplitSpec", "WhaleSplit"]

Photos: TypeAlias = Sequence[TrainingPhoto]
Share = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True)
class Split:
    """Photos by what they are for; no photo serves two ends.

    Attributes:
        training: with labels.
        validation: with labels or, as things that nobody knows, without.
        strangers: without labels, and not validating: background for a gallery's statistics.
        left_out: of the list and in none of these.
    """

    training: tuple[TrainingPhoto, ...]
    validation: tuple[TrainingPhoto, ...]
    strangers: tuple[TrainingPhoto, ...] = ()
    left_out: int = 0


class ListedSplit(Spec):
    """As the list says: val validates, test is left out, the rest trains."""

    kind: Literal["listed"] = "listed"

    def split(self, photos: Photos) -> Split:
        """Raises: PhotosUnusable: no photo to validate by, or none to train on."""
        if not any(photo.part == "val" for photo in photos):
            raise PhotosUnusable(
                "The list calls no photo val, so nothing is left to validate by; fill its column split, or choose the "
                "split by_label, by_photo, whale or none"
            )
        return _in_parts(photos, {photo.name for photo in photos if photo.part == "val"}, photos)


class NoSplit(Spec):
    """Everything trains but what the list calls test: the last training before a challenge's end."""

    kind: Literal["none"] = "none"

    def split(self, photos: Photos) -> Split:
        """Raises: PhotosUnusable: no photo with a label."""
        return _in_parts([photo for photo in photos if photo.part != "test"], set(), photos)


class ByLabelSplit(Spec):
    """A share of the labels validates, with all their photos: how well are things told apart that were never seen?

    Labels with one photo train: with nothing to find, they say nothing.

    Attributes:
        share: of the labels.
        seed: of the draw.
    """

    kind: Literal["by_label"] = "by_label"
    share: Share = 0.1
    seed: int = 0

    def split(self, photos: Photos) -> Split:
        """Raises: PhotosUnusable: no label with two photos, or none left to train on."""
        pool = _pool(photos)
        names = _names_by_label(pool)
        several = [label for label, own in names.items() if len(own) > 1]
        held = set(drawn(several, self.seed)[: max(1, round(self.share * len(names)))])
        if not held or len(held) == len(names):
            raise PhotosUnusable(
                f"Of {len(names)} label(s) {len(several)} have two photos or more: too few to hold some out and train "
                "on others; choose the split by_photo, or add photos"
            )
        chosen = [photo for photo in pool if photo.label in held]
        return _parted([photo for photo in pool if photo.label not in held], chosen, photos)


class ByPhotoSplit(Spec):
    """A share of the photos validates, alike of every label; each label keeps one photo at least to train on.

    Attributes:
        share: of the photos, also of those without a label.
        seed: of the draw.
    """

    kind: Literal["by_photo"] = "by_photo"
    share: Share = 0.1
    seed: int = 0

    def split(self, photos: Photos) -> Split:
        """Raises: PhotosUnusable: no label has two photos."""
        pool = _pool(photos)
        by_label = _names_by_label(pool)
        kept = {drawn(names, self.seed)[-1] for names in by_label.values()}
        spare = {photo.name: photo.label for photo in pool if photo.name not in kept}
        if not any(spare.values()):
            raise PhotosUnusable(
                "Every label has one photo, so none can validate by it; choose the split by_label or none"
            )
        # What each label must keep is made up for by the others, so that the share is one of all photos.
        share = min(1.0, self.share * (len(spare) + len(kept)) / len(spare))
        chosen = drawn_evenly(spare, share, self.seed)
        if not any(spare[name] for name in chosen):
            chosen.add(drawn(filter(spare.get, spare), self.seed)[0])
        return _in_parts(pool, chosen, photos)


class WhaleSplit(Spec):
    """One photo of each label with two or more validates, and with them photos of unknown things.

    Source: the whale challenge's 7th place, ducha-aiki/whale-identification-2018: "one photo of each whale with two or
    more, and 1,000 new_whale".

    Attributes:
        unknown: how many photos without a label; as many as there are if fewer.
        unknown_labels: labels that mean "none", beside the empty one.
        seed: of the draws.
    """

    kind: Literal["whale"] = "whale"
    unknown: int = Field(default=1000, ge=0)
    unknown_labels: tuple[str, ...] = ("new_whale",)
    seed: int = 0

    def split(self, photos: Photos) -> Split:
        """Raises: PhotosUnusable: no label has two photos."""
        pool = [replace(one, label="") if one.label in self.unknown_labels else one for one in _pool(photos)]
        by_label = _names_by_label(pool)
        firsts = {drawn(names, self.seed)[0] for names in by_label.values() if len(names) > 1}
        if not firsts:
            raise PhotosUnusable("Every label has one photo, so none can validate by it; choose the split none")
        strangers = drawn([photo.name for photo in pool if not photo.label], self.seed)
        return _in_parts(pool, firsts | set(strangers[: self.unknown]), photos)


SplitSpec: TypeAlias = Annotated[
    ListedSplit | ByLabelSplit | ByPhotoSplit | WhaleSplit | NoSplit, Field(discriminator="kind")
]


def _pool(photos: Photos) -> list[TrainingPhoto]:
    return [photo for photo in photos if photo.part in ("train", "")]


def _names_by_label(photos: Iterable[TrainingPhoto]) -> dict[str, set[str]]:
    """Label -> names of its photos; regions of one photo count once."""
    names: dict[str, set[str]] = {}
    for photo in photos:
        if photo.label:
            names.setdefault(photo.label, set()).add(photo.name)
    return names


def _in_parts(pool: Photos, validating: set[str], listed: Photos) -> Split:
    """By name, so that regions of one photo stay together."""
    rest = [photo for photo in pool if photo.name not in validating and photo.part != "test"]
    return _parted(rest, [photo for photo in pool if photo.name in validating], listed)


def _parted(rest: Photos, validating: Photos, listed: Photos) -> Split:
    training = tuple(photo for photo in rest if photo.label)
    strangers = tuple(photo for photo in rest if not photo.label)
    if not training:
        raise PhotosUnusable(
            "No photo with a label is left to train on; look at the list's labels and its column split"
        )
    left_out = len(listed) - len(training) - len(strangers) - len(validating)
    return Split(training, tuple(validating), strangers, left_out)
