"""From a feature map to one vector."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from training.spec import Spec

__all__ = [
    "AverageMaxPooling",
    "AverageMaxSpec",
    "AveragePooling",
    "AverageSpec",
    "GeM",
    "GeMSpec",
    "MaxPooling",
    "MaxSpec",
    "PoolingSpec",
]


class AveragePooling(nn.Module):
    """Mean over the positions of a map: (n, c, h, w) -> (n, c)."""

    def forward(self, features: Tensor) -> Tensor:
        return features.mean((-2, -1))


class MaxPooling(nn.Module):
    """Maximum over the positions of a map: (n, c, h, w) -> (n, c)."""

    def forward(self, features: Tensor) -> Tensor:
        return features.amax((-2, -1))


class AverageMaxPooling(nn.Module):
    """Mean and maximum side by side, (n, c, h, w) -> (n, 2c). Source: fastai, AdaptiveConcatPool2d (maximum first)."""

    def forward(self, features: Tensor) -> Tensor:
        return torch.cat([features.amax((-2, -1)), features.mean((-2, -1))], dim=1)


class GeM(nn.Module):
    """Generalised mean, (n, c, h, w) -> (n, c): (mean of max(x, eps)^p)^(1/p). p = 1 is the average, p -> infinity the
    maximum. Source: Radenovic et al., Fine-tuning CNN Image Retrieval with No Human Annotation, TPAMI 2018.

    Args:
        p: initial exponent.
        learnable: whether p is trained.
        eps: smallest activation; negative ones are lost.
        ceiling: largest activation; None leaves them as they are.
        channels: how many exponents, one a channel; None: one for all.
    """

    def __init__(
        self,
        p: float = 3.0,
        *,
        learnable: bool = True,
        eps: float = 1e-6,
        ceiling: float | None = None,
        channels: int | None = None,
    ) -> None:
        super().__init__()
        start = torch.tensor(p) if channels is None else torch.full((channels, 1, 1), p)
        self.p = nn.Parameter(start, requires_grad=learnable)
        self.eps = eps
        self.ceiling = ceiling

    def forward(self, features: Tensor) -> Tensor:
        # In float32 also under autocast: a half-precision power loses the small activations.
        with torch.autocast(features.device.type, enabled=False):
            powered = features.float().clamp(min=self.eps, max=self.ceiling).pow(self.p)
            pooled: Tensor = powered.mean((-2, -1), keepdim=True).pow(1.0 / self.p)
        return pooled.flatten(1)


class AverageSpec(Spec):
    """`AveragePooling`."""

    kind: Literal["average"] = "average"

    def channels(self, channels: int) -> int:
        """Length of the pooled vector of a map of so many channels."""
        return channels

    def build(self, channels: int) -> nn.Module:  # noqa: ARG002
        return AveragePooling()


class MaxSpec(Spec):
    """`MaxPooling`."""

    kind: Literal["max"] = "max"

    def channels(self, channels: int) -> int:
        """Length of the pooled vector of a map of so many channels."""
        return channels

    def build(self, channels: int) -> nn.Module:  # noqa: ARG002
        return MaxPooling()


class AverageMaxSpec(Spec):
    """`AverageMaxPooling`: the whale 7th place's first head."""

    kind: Literal["average_max"] = "average_max"

    def channels(self, channels: int) -> int:
        """Length of the pooled vector of a map of so many channels."""
        return 2 * channels

    def build(self, channels: int) -> nn.Module:  # noqa: ARG002
        return AverageMaxPooling()


class GeMSpec(Spec):
    """`GeM`.

    The landmark winner's configurations 1 to 5 learn one exponent from 3, its 6 and 7 keep 3; the whale 7th place keeps
    3.74 and clamps activations at 1e4. Per channel: `GeMmp` of filipradenovic/cnnimageretrieval-pytorch.
    """

    kind: Literal["gem"] = "gem"
    p: Annotated[float, Field(gt=0)] = 3.0
    learnable: bool = True
    per_channel: bool = False
    eps: Annotated[float, Field(gt=0)] = 1e-6
    ceiling: Annotated[float, Field(gt=0)] | None = None

    def channels(self, channels: int) -> int:
        """Length of the pooled vector of a map of so many channels."""
        return channels

    def build(self, channels: int) -> nn.Module:
        each = channels if self.per_channel else None
        return GeM(self.p, learnable=self.learnable, eps=self.eps, ceiling=self.ceiling, channels=each)


PoolingSpec = Annotated[AverageSpec | MaxSpec | AverageMaxSpec | GeMSpec, Field(discriminator="kind")]
