"""Classes as directions: cosines to class weights, and margins that make the true class harder to reach."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["CosineClassifier", "add_angular_margin", "put_target"]

# Where |cos| is 1 the sine's square root has no finite gradient; this keeps it from being a NaN.
_SMALLEST_SQUARED_SINE = 1e-7


class CosineClassifier(nn.Module):
    """Embeddings (n, d) -> cosines to the class weights, (n, classes): of several centres a class, the nearest.

    Args:
        classes: how many.
        dim: length of an embedding.
        centres: of each class.

    Attributes:
        weight: (classes * centres, d), a class's centres beside each other; Xavier-uniform at first.
    """

    def __init__(self, classes: int, dim: int, centres: int = 1) -> None:
        super().__init__()
        self.classes, self.centres = classes, centres
        self.weight = nn.Parameter(torch.empty(classes * centres, dim))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, embedding: Tensor) -> Tensor:
        cosines = functional.linear(functional.normalize(embedding.float()), functional.normalize(self.weight.float()))
        return cosines if self.centres == 1 else cosines.view(-1, self.classes, self.centres).amax(2)


def add_angular_margin(cosine: Tensor, margin: Tensor | float) -> Tensor:
    """cos(angle + margin), continued where it would turn up again.

    Beyond angle + margin = pi the cosine would grow and reward photos for lying further away; there it is cos - m sin m
    (that is m sin(pi - m)), which keeps falling. Source: Deng et al., ArcFace, CVPR 2019, and
    psinger/kaggle-landmark-recognition-2020-1st-place, src/loss.py.

    Args:
        cosine: any shape.
        margin: radians, one or of the same shape.
    """
    margin = torch.as_tensor(margin, dtype=cosine.dtype, device=cosine.device)
    sine = (1 - cosine.square()).clamp(min=_SMALLEST_SQUARED_SINE).sqrt()
    moved = cosine * margin.cos() - sine * margin.sin()
    return torch.where(cosine > (math.pi - margin).cos(), moved, cosine - margin * margin.sin())


def put_target(logits: Tensor, labels: Tensor, target: Tensor) -> Tensor:
    """`logits` (n, classes) with the entries of the true classes replaced by `target` (n,)."""
    return logits.scatter(1, labels[:, None], target[:, None])
