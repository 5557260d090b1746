"""What every loss shares: one number a photo, and their weighted mean in float32."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from training.batch import Batch, Outputs
from training.errors import RecipeInvalid

__all__ = ["Loss", "needed", "weighted_mean"]


class Loss(nn.Module, ABC):
    """A loss of a batch: the mean over its photos, weighted where the photos have weights.

    Computed in float32 also under autocast: a margin or a softmax over many classes loses too much in half precision.

    Attributes:
        takes_mixed: whether it can judge photos that show two classes (CutMix, MixUp).
    """

    takes_mixed: ClassVar[bool] = False

    @abstractmethod
    def judge(self, outputs: Outputs, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """The loss of each photo, (n,), and each photo's weight in the mean, (n,) or None where all weigh the same."""

    def forward(self, outputs: Outputs, batch: Batch) -> Tensor:
        """The batch's loss, a float32 scalar.

        Raises:
            RecipeInvalid: the batch is mixed and this loss takes one label a photo, or the network gives no logits
                or parts that this loss needs.
        """
        if batch.mixed is not None and not self.takes_mixed:
            raise RecipeInvalid(
                f"{type(self).__name__} takes one label a photo and this batch is mixed; take CutMix and MixUp out of "
                "the recipe, or say `when_mixed: skip` beside this loss."
            )
        with torch.autocast(outputs.embedding.device.type, enabled=False):
            values, weights = self.judge(outputs, batch)
            if batch.weights is not None:
                weights = batch.weights if weights is None else weights * batch.weights
            return weighted_mean(values, weights)


def weighted_mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """sum(w x) / sum(w) of (n,) values; the mean where there are no weights."""
    return values.mean() if weights is None else (values * weights).sum() / weights.sum()


def needed(value: Tensor | None, loss: nn.Module, what: str) -> Tensor:
    """The value in float32.

    Raises:
        RecipeInvalid: the network does not give it.
    """
    if value is None:
        raise RecipeInvalid(f"{type(loss).__name__} needs {what}, and this network has none.")
    return value.float()
