"""Cross-entropy of the classifier's logits, with two conventions of label smoothing."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from training.batch import Batch, Outputs
from training.errors import RecipeInvalid
from training.losses.loss import Loss, needed
from training.spec import Spec

__all__ = ["CrossEntropy", "CrossEntropySpec", "torch_smoothing"]


class CrossEntropySpec(Spec):
    """`CrossEntropy`.

    Attributes:
        smoothing: share of probability that is taken from the true class, 0 for none.
        convention: who gets it. `torch`: all K classes, epsilon / K each, the true one among them, as in Szegedy et
            al., Rethinking the Inception Architecture, 2016, section 7. `others`: the K - 1 others, epsilon / (K - 1)
            each, as the VIPriors 2nd place writes it.
    """

    kind: Literal["cross_entropy"] = "cross_entropy"
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    convention: Literal["torch", "others"] = "torch"

    def build(self, *, classes: int, dim: int, counts: Tensor) -> CrossEntropy:  # noqa: ARG002
        """Make the loss.

        Raises:
            RecipeInvalid: smoothing leaves the true class no more than the others.
        """
        others = self.convention == "others"
        return CrossEntropy(torch_smoothing(self.smoothing, classes) if others else self.smoothing)


def torch_smoothing(epsilon: float, classes: int) -> float:
    """The epsilon with which torch's convention gives the same targets as epsilon shared by the other classes.

    Raises:
        RecipeInvalid: it would leave the true class no more than the others.
    """
    if epsilon * classes >= classes - 1:
        raise RecipeInvalid(
            f"Smoothing of {epsilon} shared by the other of {classes} classes leaves the true one no more than them; "
            f"it must be below {(classes - 1) / classes:.3g}."
        )
    return epsilon * classes / (classes - 1)


class CrossEntropy(Loss):
    """Cross-entropy, summed over the logits of the whole and of each stripe where the network has stripes.

    The sum over stripes, each with coefficient 1: `MultiCE` of ducha-aiki/whale-identification-2018, losses.py. Mixed
    photos have shares of classes as their target: Yun et al., CutMix, ICCV 2019.

    Args:
        smoothing: in torch's convention.
    """

    takes_mixed: ClassVar[bool] = True

    def __init__(self, smoothing: float) -> None:
        super().__init__()
        self.smoothing = smoothing

    def judge(self, outputs: Outputs, batch: Batch) -> tuple[Tensor, Tensor | None]:
        every = needed(outputs.logits, self, "the logits of a classifier")[:, None]
        if outputs.part_logits is not None:
            every = torch.cat([every, outputs.part_logits.float()], dim=1)
        target = batch.labels if batch.mixed is None else batch.mixed.float()
        heads = [self._one(every[:, at], target) for at in range(every.shape[1])]
        return torch.stack(heads).sum(0), None

    def _one(self, logits: Tensor, target: Tensor) -> Tensor:
        return functional.cross_entropy(logits, target, reduction="none", label_smoothing=self.smoothing)
