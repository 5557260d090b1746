"""Patches of a photo under affine frames, from the level of its pyramid that fits, in a graph of fixed sizes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from index.verification.learned.patch_features import SIDE
from training.local_features.scale_space import halves

__all__ = ["AffinePatches"]


class AffinePatches(nn.Module):
    """Samples 32 x 32 patches. A frame (2, 2) takes a patch's square, -1 to 1, to pixels around a point; beyond the
    photo its edge goes on.

    Args:
        size: side of the square that holds the photo, a multiple of 32.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self._sides = [size]
        while self._sides[-1] >= 2 * SIDE:
            self._sides.append(self._sides[-1] // 2)
        self._starts = torch.tensor([float(sum(self._sides[:level])) for level in range(len(self._sides))])
        along = (2 * torch.arange(SIDE) + 1) / SIDE - 1
        self._square = torch.stack(torch.meshgrid(along, along, indexing="xy")).reshape(2, -1)

    def stacked(self, grey: Tensor) -> Tensor:
        """The pyramid of a photo (1, 1, s, s) as one picture, level under level: (1, 1, h, s)."""
        levels = zip(halves(grey, len(self._sides)), self._sides, strict=True)
        return torch.cat([functional.pad(level, (0, self.size - side)) for level, side in levels], dim=2)

    def forward(self, stacked: Tensor, points: Tensor, frames: Tensor, extent: Tensor) -> Tensor:
        """Patches (k, 1, 32, 32) around points (k, 2) under frames (k, 2, 2), whose determinants are above 0.

        Args:
            stacked: what `stacked` makes of the photo.
            extent: see `Extractor`.
        """
        determinant = frames[:, 0, 0] * frames[:, 1, 1] - frames[:, 0, 1] * frames[:, 1, 0]
        step = 2 * torch.sqrt(determinant) / SIDE
        level = torch.log2(step).clamp(0, len(self._sides) - 1).floor()
        shrunk = torch.pow(2.0, -level)[:, None, None]
        last = (extent[None, :, None] * shrunk - 1).clamp(min=0)
        there = (frames @ self._square + points[:, :, None] + 0.5) * shrunk - 0.5
        x, y = torch.minimum(there.clamp(min=0), last).unbind(1)
        y = y + self._starts[level.to(torch.int64)][:, None]
        grid = torch.stack([x * (2 / (self.size - 1)) - 1, y * (2 / (sum(self._sides) - 1)) - 1], dim=-1)
        return functional.grid_sample(stacked, grid[None], align_corners=True).reshape(-1, 1, SIDE, SIDE)
