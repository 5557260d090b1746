"""LightGlue as one graph: two photos' points and descriptors in, partners out.

Lindenberger et al., LightGlue: Local feature matching at light speed, ICCV 2023. The weights lie in kornia's modules;
the way through them is written out here, in shapes that the tracing exporter follows. What the paper adapts to each
pair - leaving after fewer layers, dropping points - is left out: a graph has one way. Each layer can be the last, as
each was trained to be.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from kornia.feature import LightGlue
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["DEEP", "LIGHT", "Matcher"]

DEEP: dict[str, Any] = {"input_dim": 128}
"""For DISK and ALIKED."""

LIGHT: dict[str, Any] = {"input_dim": 64, "descriptor_dim": 96, "n_layers": 6, "num_heads": 1}
"""LighterGlue, for XFeat."""


class _Turns(NamedTuple):
    """Where points lie, as cosines and sines (1, 1, n, d / heads), each twice in a row."""

    cosines: Tensor
    sines: Tensor


class Matcher(nn.Module):
    """Takes points (1, m, 2), from -1 to 1 along the longer side with the photo's middle at 0, descriptors (1, m, d),
    and both of another photo, (1, n, 2) and (1, n, d). Gives for each point of the first photo its partner in the
    other, (m,) int64, and how likely it is one, (m,): 0 where each is not the other's best.

    Args:
        shape: `DEEP` or `LIGHT`.
        layers: how many are used; None for all.
    """

    def __init__(self, shape: dict[str, Any], layers: int | None = None) -> None:
        super().__init__()
        # Typed loosely: kornia's modules keep their parts in plain attributes.
        self.network: Any = LightGlue(cast(Any, None), **shape, flash=False, depth_confidence=-1, width_confidence=-1)
        self.heads: int = self.network.conf.num_heads
        self.layers: int = layers or self.network.conf.n_layers

    def forward(
        self, points0: Tensor, descriptors0: Tensor, points1: Tensor, descriptors1: Tensor
    ) -> tuple[Tensor, Tensor]:
        first, second = self.network.input_proj(descriptors0), self.network.input_proj(descriptors1)
        turns0, turns1 = self._turns(points0), self._turns(points1)
        for layer in self.network.transformers[: self.layers]:
            first = self._look_around(layer.self_attn, first, turns0)
            second = self._look_around(layer.self_attn, second, turns1)
            first, second = self._look_across(layer.cross_attn, first, second)
        likely = self._assignment(first, second)[0]
        best, partners = likely.max(1)
        mutual = likely.max(0).indices[partners] == torch.arange(partners.shape[0])
        return partners, torch.where(mutual, best.exp(), torch.zeros_like(best))

    def _turns(self, points: Tensor) -> _Turns:
        angles = self.network.posenc.Wr(points)[:, None]
        twice = torch.stack([angles, angles], dim=-1).reshape(1, 1, -1, 2 * self._half)
        return _Turns(twice.cos(), twice.sin())

    @property
    def _half(self) -> int:
        return int(self.network.posenc.Wr.weight.shape[0])

    def _turned(self, values: Tensor, turns: _Turns) -> Tensor:
        """Rotary encoding (the paper's equation 5) of (1, heads, n, d / heads): neighbouring values turn as a pair."""
        left, right = values.reshape(1, self.heads, -1, self._half, 2).unbind(-1)
        across = torch.stack([-right, left], dim=-1).reshape(1, self.heads, -1, 2 * self._half)
        return values * turns.cosines + across * turns.sines

    def _look_around(self, block: Any, values: Tensor, turns: _Turns) -> Tensor:
        """Self-attention."""
        each = block.Wqkv(values).reshape(1, -1, self.heads, 2 * self._half, 3).transpose(1, 2)
        query, key, content = each.unbind(-1)
        weights = _attention(self._turned(query, turns), self._turned(key, turns))
        return _added(block, values, block.out_proj(_together(weights @ content)))

    def _look_across(self, block: Any, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Attention of each photo to the other."""
        key0, key1 = self._split(block.to_qk(first)), self._split(block.to_qk(second))
        content0, content1 = self._split(block.to_v(first)), self._split(block.to_v(second))
        message0 = block.to_out(_together(_attention(key0, key1) @ content1))
        message1 = block.to_out(_together(_attention(key1, key0) @ content0))
        return _added(block, first, message0), _added(block, second, message1)

    def _split(self, values: Tensor) -> Tensor:
        """(1, n, d) to (1, heads, n, d / heads)."""
        return values.reshape(1, -1, self.heads, 2 * self._half).transpose(1, 2)

    def _assignment(self, first: Tensor, second: Tensor) -> Tensor:
        """Log-probability (1, m, n) that two points belong together: the paper's equations 6 to 8."""
        head = self.network.log_assignment[self.layers - 1]
        root = head.dim**0.25
        alike = (head.final_proj(first) / root) @ (head.final_proj(second) / root).transpose(1, 2)
        worth = functional.logsigmoid(head.matchability(first)) + functional.logsigmoid(
            head.matchability(second)
        ).transpose(1, 2)
        return functional.log_softmax(alike, 2) + functional.log_softmax(alike, 1) + worth


def _attention(query: Tensor, key: Tensor) -> Tensor:
    return functional.softmax(query @ key.transpose(2, 3) / query.shape[-1] ** 0.5, dim=-1)


def _together(values: Tensor) -> Tensor:
    """(1, heads, n, d) to (1, n, heads * d)."""
    return values.transpose(1, 2).flatten(2)


def _added(block: Any, values: Tensor, message: Tensor) -> Tensor:
    changed: Tensor = values + block.ffn(torch.cat([values, message], -1))
    return changed
