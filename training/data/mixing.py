"""Photos of a batch mixed with each other, and their labels with them: CutMix and MixUp."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import torch
from pydantic import Field
from torch import Tensor
from torchvision.transforms import v2

from training.spec import Spec

__all__ = ["CutMix", "Mixer", "MixSpec", "MixUp", "mixes_labels"]


class CutMix(Spec):
    """A rectangle of each photo comes from its neighbour in the batch; labels are mixed by the area that is left.

    Source: Yun et al., CutMix (ICCV 2019), algorithm A1, in torchvision's hands: its side is sqrt(1 - lambda) of the
    photo's, and lambda is computed anew after clipping to the photo. To mix a batch half of the time is VIPriors' 2nd
    place's.

    Attributes:
        alpha: lambda is drawn from Beta(alpha, alpha).
        probability: of a batch being mixed.
    """

    kind: Literal["cutmix"] = "cutmix"
    alpha: float = Field(default=1.0, gt=0)
    probability: float = Field(default=0.5, ge=0, le=1)

    def build(self, classes: int) -> Mixer:
        return Mixer(v2.CutMix(alpha=self.alpha, num_classes=classes), self.probability)


class MixUp(Spec):
    """Each photo is averaged with its neighbour in the batch, labels with the same shares.

    Source: Zhang et al., mixup (ICLR 2018), equation 2; torchvision's.

    Attributes:
        alpha: the share is drawn from Beta(alpha, alpha).
        probability: of a batch being mixed.
    """

    kind: Literal["mixup"] = "mixup"
    alpha: float = Field(default=0.2, gt=0)
    probability: float = Field(default=0.5, ge=0, le=1)

    def build(self, classes: int) -> Mixer:
        return Mixer(v2.MixUp(alpha=self.alpha, num_classes=classes), self.probability)


MixSpec: TypeAlias = Annotated[CutMix | MixUp, Field(discriminator="kind")]


def mixes_labels(spec: CutMix | MixUp | None) -> bool:
    """Whether a batch may have mixed labels, which no metric loss can take: a recipe must not have both."""
    return spec is not None and spec.probability > 0


class Mixer:
    """Mixes a batch, some of the time."""

    def __init__(self, mix: v2.CutMix | v2.MixUp, probability: float) -> None:
        self._mix = mix
        self._probability = probability

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Photos and shares of classes, (n, classes); None where nothing was mixed. See `training.data.chance.seeded`.

        Args:
            images: (n, 3, h, w).
            labels: (n,) int64.
        """
        if torch.rand(()).item() >= self._probability or len(images) < 2:
            return images, None
        mixed: tuple[Tensor, Tensor] = self._mix(images, labels)
        return mixed
