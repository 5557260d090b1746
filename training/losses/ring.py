"""Ring loss: embeddings of one length, which is learnt."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from training.batch import Batch, Outputs
from training.errors import RecipeInvalid
from training.losses.loss import Loss
from training.spec import Spec

__all__ = ["RingLoss", "RingLossSpec"]


class RingLossSpec(Spec):
    """`RingLoss`; the whale 7th place weighs it with 0.01.

    Attributes:
        radius: at first; `first_batch` for the mean length in the first batch, which suits a trained network.
        stripes: of the network's neck, each with a radius; 1 for the whole embedding.
    """

    kind: Literal["ring"] = "ring"
    radius: Annotated[float, Field(gt=0)] | Literal["first_batch"] = 1.5
    stripes: Annotated[int, Field(ge=1, le=16)] = 1

    def build(self, *, classes: int, dim: int, counts: Tensor) -> RingLoss:  # noqa: ARG002
        return RingLoss(self.stripes, None if self.radius == "first_batch" else self.radius)


class RingLoss(Loss):
    """Squared difference of an embedding's length from the radius, summed over stripes.

    Source: Zheng et al., Ring Loss: Convex Feature Normalization for Face Recognition, CVPR 2018, equation 2, without
    its factor of a half and with a radius a stripe, as in ducha-aiki/whale-identification-2018, losses.py.

    Attributes:
        radii: (stripes,), learnt.

    Raises:
        RecipeInvalid: the network has another number of stripes.
    """

    waiting: Tensor

    def __init__(self, stripes: int, radius: float | None) -> None:
        super().__init__()
        self.radii = nn.Parameter(torch.full((stripes,), 1.0 if radius is None else radius))
        self.register_buffer("waiting", torch.tensor(radius is None))

    def judge(self, outputs: Outputs, batch: Batch) -> tuple[Tensor, Tensor | None]:  # noqa: ARG002
        whole = len(self.radii) == 1 or outputs.parts is None
        lengths = (outputs.embedding[:, None] if whole else outputs.parts).float().norm(dim=2)  # type: ignore[union-attr]
        if lengths.shape[1] != len(self.radii):
            raise RecipeInvalid(
                f"The ring loss has {len(self.radii)} radii and the network {lengths.shape[1]} stripes; say "
                f"`stripes: {lengths.shape[1]}`."
            )
        if self.training and self.waiting:
            self.radii.data.copy_(lengths.detach().mean(0))
            self.waiting.fill_(False)
        return (lengths - self.radii).square().sum(1), None
