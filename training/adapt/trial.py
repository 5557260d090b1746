"""How well a map of embeddings does on what it was fitted on and on what it was not, by cross-validation.

In each fold a part of the labels is unseen: no photo of theirs is fitted on. Of every label, seen or not, a block of
photos is asked about and the rest is enrolled. The blocks follow the order of names: photos beside each other are often
of one visit, and one of them asked of the others would flatter every map.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from index.evaluation.protocols.chance import drawn
from training.adapt.features import Features
from training.errors import PhotosUnusable
from training.run.metrics import Embedded, measure

__all__ = ["FOLDS", "Figures", "Fit", "Fold", "Map", "apply", "folds", "judge", "tried"]

Map: TypeAlias = NDArray[np.float32]
"""(d, d): embeddings (n, d) become the unit rows of x @ map.T."""

Fit: TypeAlias = Callable[[Features], Map]

FOLDS = 5
ASKED = 0.3
"""Share of a label's photos that is asked about, at least one."""

LEAST_LABELS = 8
"""With two photos each: fewer say nothing about labels that were not seen."""


@dataclass(frozen=True)
class Figures:
    """What a map is worth; nan where it is not defined.

    Attributes:
        seen: R@1 of photos whose label was fitted on: is the nearest enrolled photo one of the label?
        unseen: the same of labels that were not fitted on, enrolled beside the others.
        auroc: of photos of seen labels that are answered rightly against photos of unseen labels that are not enrolled,
            by the similarity of the nearest photo.
    """

    seen: float
    unseen: float
    auroc: float

    def values(self) -> NDArray[np.float64]:
        """(3,) in the order of the attributes."""
        return np.array([getattr(self, field.name) for field in fields(self)], np.float64)


@dataclass(frozen=True)
class Fold:
    """One division of the photos.

    Attributes:
        fitted: enrolled photos of the seen labels; alone fitted on.
        asked: other photos of the seen labels.
        unseen_enrolled, unseen_asked: of the other labels.
        strangers: photos without a label.
    """

    fitted: Features
    asked: Features
    unseen_enrolled: Features
    unseen_asked: Features
    strangers: Features


def folds(features: Features, count: int = FOLDS, seed: int = 0) -> Iterator[Fold]:
    """Divide photos so that every label with two photos or more is unseen once. Labels with one photo are always seen.

    Raises:
        PhotosUnusable: too few labels have two photos.
    """
    places = features.places()
    several = drawn([label for label, own in places.items() if len(own) > 1], seed)
    if len(several) < LEAST_LABELS:
        raise PhotosUnusable(
            f"{len(several)} label(s) have two photos or more; adapting needs {LEAST_LABELS}, to see what becomes of "
            "labels that it was not fitted on: add photos"
        )
    strangers = [at for at, label in enumerate(features.labels) if not label]
    for number in range(count):
        unseen = set(several[number::count])
        enrolled, asked = _divided(features, places, number, count)
        yield Fold(
            features.at([at for at in enrolled if features.labels[at] not in unseen]),
            features.at([at for at in asked if features.labels[at] not in unseen]),
            features.at([at for at in enrolled if features.labels[at] in unseen]),
            features.at([at for at in asked if features.labels[at] in unseen]),
            features.at(strangers),
        )


def judge(map_: Map | None, fold: Fold) -> Figures:
    """The figures of a map on one fold; None for embeddings as they are."""
    seen, unseen = (_embedded(map_, one) for one in (fold.fitted, fold.unseen_enrolled))
    asked, unseen_asked, strangers = (_embedded(map_, one) for one in (fold.asked, fold.unseen_asked, fold.strangers))
    everything = _together(seen, unseen)
    return Figures(
        measure(asked, everything, ()).get("knn_top1", math.nan),
        measure(unseen_asked, everything, ()).get("knn_top1", math.nan),
        measure(_together(asked, unseen, unseen_asked, strangers), seen, ()).get("knn_auroc", math.nan),
    )


def tried(fit: Fit | None, divided: Sequence[Fold]) -> NDArray[np.float64]:
    """(folds, 3) figures of a way to fit, each fold's map fitted on its own photos."""
    return np.stack([judge(fit(fold.fitted) if fit else None, fold).values() for fold in divided])


def apply(map_: Map | None, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors (..., d) through a map, at unit length."""
    if map_ is None:
        return vectors
    moved = vectors.astype(np.float64) @ map_.T.astype(np.float64)
    return np.asarray(moved / np.linalg.norm(moved, axis=-1, keepdims=True), np.float32)


def _divided(features: Features, places: dict[str, list[int]], number: int, count: int) -> tuple[list[int], list[int]]:
    """Places that are enrolled, and places that are asked about: of each label another block in each fold."""
    enrolled: list[int] = []
    asked: list[int] = []
    for own in places.values():
        ordered = sorted(own, key=lambda at: features.names[at])
        block = min(len(ordered) - 1, max(1, round(ASKED * len(ordered))))
        first = round(number * (len(ordered) - block) / max(count - 1, 1))
        asked += ordered[first : first + block]
        enrolled += ordered[:first] + ordered[first + block :]
    return enrolled, asked


def _embedded(map_: Map | None, features: Features) -> Embedded:
    return Embedded(features.names, features.labels, apply(map_, features.vectors))


def _together(*parts: Embedded) -> Embedded:
    return Embedded(
        [name for part in parts for name in part.names],
        [label for part in parts for label in part.labels],
        np.concatenate([part.vectors for part in parts]),
    )
