"""Losses as they come, looked at seldom enough not to hold a GPU up, and never too late."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["LossWatch"]


class LossWatch:
    """Keeps losses on their device until `flush`, which tells their means and the first that is not a number.

    A checkpoint is only written after a flush that found all finite: a bad one never replaces a good one.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[int, Tensor]] = []
        self._names: tuple[str, ...] = ()

    def add(self, step: int, losses: Mapping[str, Tensor]) -> None:
        """Losses of one step: scalars by name, always the same names."""
        self._names = tuple(losses)
        self._kept.append((step, torch.stack([losses[name].detach().float() for name in self._names])))

    def flush(self) -> tuple[dict[str, float], int | None]:
        """Mean of each loss since the last flush, and the first step at which one was not finite; None if all were."""
        if not self._kept:
            return {}, None
        rows = torch.stack([row for _, row in self._kept]).cpu()
        bad = (~torch.isfinite(rows).all(dim=1)).nonzero()
        first = self._kept[int(bad[0])][0] if len(bad) else None
        self._kept.clear()
        return dict(zip(self._names, rows.mean(dim=0).tolist(), strict=True)), first
