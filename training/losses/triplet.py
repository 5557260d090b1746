"""Batch-hard triplets: each photo against its furthest of the same label and its nearest of another."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from training.batch import Batch, Outputs
from training.errors import RecipeInvalid
from training.losses.loss import Loss
from training.spec import Spec

__all__ = ["BatchHardTriplet", "BatchHardTripletSpec"]


class BatchHardTripletSpec(Spec):
    """`BatchHardTriplet`.

    Attributes:
        margin: of the hinge, in distance; or `soft` for ln(1 + exp(.)), the reference code's default.
        on: which vectors are compared.
        normalise: whether they are brought to unit length first; the paper does not.
    """

    kind: Literal["triplet"] = "triplet"
    margin: Annotated[float, Field(ge=0)] | Literal["soft"] = "soft"
    on: Literal["embedding", "pooled"] = "embedding"
    normalise: bool = False

    def build(self, *, classes: int, dim: int, counts: Tensor) -> BatchHardTriplet:  # noqa: ARG002
        return BatchHardTriplet(self)


class BatchHardTriplet(Loss):
    """[margin + max d(a, p) - min d(a, n)]+ of each anchor a, or its soft form; d is Euclidean.

    The mean is over the anchors that have both another photo of their label and one of another in the batch. A network
    that maps all photos to one point stays at the margin, or at ln 2 when soft. Source: Hermans et al., In Defense of
    the Triplet Loss for Person Re-Identification, 2017, equations 5 and 6.

    Raises:
        RecipeInvalid: no photo of the batch has both; take a sampler of labels x photos.
    """

    def __init__(self, spec: BatchHardTripletSpec) -> None:
        super().__init__()
        self.margin, self.on, self.normalise = spec.margin, spec.on, spec.normalise

    def judge(self, outputs: Outputs, batch: Batch) -> tuple[Tensor, Tensor | None]:
        vectors = (outputs.embedding if self.on == "embedding" else outputs.pooled).float()
        if self.normalise:
            vectors = functional.normalize(vectors)
        # Not by way of inner products, which lose the distance of vectors that nearly coincide.
        distances = torch.cdist(vectors, vectors, compute_mode="donot_use_mm_for_euclid_dist")
        same = batch.labels[:, None] == batch.labels
        others = same & ~torch.eye(len(same), dtype=torch.bool, device=same.device)
        anchors = others.any(1) & ~same.all(1)
        if not anchors.any():
            raise RecipeInvalid(
                "No photo of this batch has both another of its label and one of a different label; a triplet loss "
                "needs a sampler of several labels with several photos each."
            )
        furthest = distances.masked_fill(~others, -math.inf).amax(1)
        nearest = distances.masked_fill(same, math.inf).amin(1)
        gap = torch.where(anchors, furthest - nearest, 0.0)
        values = functional.softplus(gap) if self.margin == "soft" else (gap + self.margin).clamp(min=0)
        return values, anchors.float()
