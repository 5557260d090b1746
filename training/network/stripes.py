"""Vertical stripes of a map, each with an embedding of its own."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from training.network.pooling import PoolingSpec
from training.spec import Spec

__all__ = ["StripesNeck", "StripesSpec"]


class StripesSpec(Spec):
    """`StripesNeck`: four stripes of 512 for the whale 7th place. Each is pooled by the network's pooling.

    Attributes:
        stripes: how many.
        dim: length of a stripe's embedding; the whole embedding is `stripes` times as long.
        dropout: before the linear layer.
    """

    kind: Literal["stripes"] = "stripes"
    stripes: Annotated[int, Field(ge=1, le=16)] = 4
    dim: Annotated[int, Field(ge=1, le=2048)] = 512
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3

    def width(self, channels: int) -> int:  # noqa: ARG002
        """Length of the whole embedding."""
        return self.stripes * self.dim

    def build(self, channels: int, pooling: PoolingSpec) -> StripesNeck:
        return StripesNeck(self, channels, pooling)


class StripesNeck(nn.Module):
    """Map (n, c, h, w) -> stripes' pooled vectors (n, s, c) and embeddings (n, s, d).

    A stripe: pooling -> BatchNorm -> Dropout -> Linear -> CELU -> BatchNorm. Source: `PCBRingHead2` of
    ducha-aiki/whale-identification-2018, arch.py. It takes a stripe's width from the map's height, which is wrong for
    photos that are not square; here it comes from the width, and a width that does not divide gives stripes that
    share a column, as adaptive pooling does.
    """

    def __init__(self, spec: StripesSpec, channels: int, pooling: PoolingSpec) -> None:
        super().__init__()
        self.stripes = spec.stripes
        self.poolings = nn.ModuleList(pooling.build(channels) for _ in range(spec.stripes))
        self.heads = nn.ModuleList(_head(pooling.channels(channels), spec) for _ in range(spec.stripes))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        columns = [_columns(features, at, self.stripes) for at in range(self.stripes)]
        pooled = [pool(part) for pool, part in zip(self.poolings, columns, strict=True)]
        parts = [head(vector) for head, vector in zip(self.heads, pooled, strict=True)]
        return torch.stack(pooled, dim=1), torch.stack(parts, dim=1)


def _columns(features: Tensor, at: int, stripes: int) -> Tensor:
    width = features.shape[3]
    return features[..., width * at // stripes : (width * (at + 1) + stripes - 1) // stripes]


def _head(channels: int, spec: StripesSpec) -> nn.Module:
    return nn.Sequential(
        nn.BatchNorm1d(channels),
        nn.Dropout(spec.dropout),
        nn.Linear(channels, spec.dim),
        nn.CELU(),
        nn.BatchNorm1d(spec.dim),
    )
