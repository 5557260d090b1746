"""What goes into a network in one step, and what comes out of it for the losses to judge."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Batch", "Destroyed", "Outputs"]


@dataclass(frozen=True)
class Destroyed:
    """The same photos with their regions shuffled (DCL).

    Attributes:
        images: (n, 3, h, w).
        positions: (n, cells) int64: which cell of the whole photo now stands in each place, row by row.
    """

    images: Tensor
    positions: Tensor


@dataclass(frozen=True)
class Batch:
    """One step's photos.

    Attributes:
        images: (n, 3, h, w), preprocessed.
        labels: (n,) int64, numbers of classes.
        mixed: (n, classes) shares of each class after CutMix; None where each photo has one label. A metric loss
            refuses a mixed batch.
        weights: (n,) of the photos; None where all weigh the same.
        destroyed: for DCL.
        group: for LIO: photos stand in groups of this many, one label a group, group after group.
    """

    images: Tensor
    labels: Tensor
    mixed: Tensor | None = None
    weights: Tensor | None = None
    destroyed: Destroyed | None = None
    group: int | None = None


@dataclass(frozen=True)
class Outputs:
    """What a network says of n photos.

    Attributes:
        features: (n, c, h, w), the backbone's last map.
        pooled: (n, c).
        embedding: (n, d) after the neck, not of unit length: a loss normalises where its paper does, the export always.
        parts: (n, s, d / s), the embedding's stripes, where the network has stripes.
        logits: (n, classes) of the plain classifier, where there is one.
        part_logits: (n, s, classes), of the stripes' classifiers.
    """

    features: Tensor
    pooled: Tensor
    embedding: Tensor
    parts: Tensor | None = None
    logits: Tensor | None = None
    part_logits: Tensor | None = None
