"""From a feature map to one vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["AveragePooling", "GeM"]


class AveragePooling(nn.Module):
    """Mean over the positions of a map: (n, c, h, w) -> (n, c)."""

    def forward(self, features: Tensor) -> Tensor:
        return features.mean((-2, -1))


class GeM(nn.Module):
    """Generalised mean, (n, c, h, w) -> (n, c): (mean of max(x, eps)^p)^(1/p). p = 1 is the average, p -> infinity the
    maximum. Source: Radenovic et al., Fine-tuning CNN Image Retrieval with No Human Annotation, TPAMI 2018.

    Args:
        p: initial exponent.
        learnable: whether p is trained.
        eps: smallest activation; negative ones are lost.
    """

    def __init__(self, p: float = 3.0, *, learnable: bool = True, eps: float = 1e-6) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor(p), requires_grad=learnable)
        self.eps = eps

    def forward(self, features: Tensor) -> Tensor:
        # In float32 also under autocast: a half-precision power loses the small activations.
        powered = features.float().clamp(min=self.eps).pow(self.p)
        pooled: Tensor = powered.mean((-2, -1)).pow(1.0 / self.p)
        return pooled
