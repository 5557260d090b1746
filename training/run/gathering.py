"""The outputs of all processes in one batch, so that a loss sees the whole of it.

Each process computes the same loss of the whole batch, and the gradient that comes back to its own photos is the sum
of what every process found; torch's data-parallel mean over processes then gives exactly the gradient that one process
with the whole batch would have. So a recipe means the same on one GPU and on eight, also for losses that compare photos
(triplets) or weigh them (ArcFace by class).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, distributed

from training.batch import Batch, Outputs

__all__ = ["gathered", "gathered_batch", "gathered_outputs", "processes"]


def processes() -> int:
    """How many there are."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


class _Gather(torch.autograd.Function):
    """(n, ...) of each process -> (processes * n, ...) of all, in their order."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        ctx.rows = len(own)
        parts = [torch.empty_like(own) for _ in range(processes())]
        distributed.all_gather(parts, own.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        summed = gradients[0].contiguous().clone()
        distributed.all_reduce(summed)
        at = distributed.get_rank() * ctx.rows
        return summed[at : at + ctx.rows]


def gathered(own: Tensor) -> Tensor:
    """The rows of all processes; what was given where there is one."""
    if processes() == 1:
        return own
    return _Gather.apply(own)  # type: ignore[no-any-return]


def gathered_outputs(outputs: Outputs) -> Outputs:
    """Of all processes, but for the feature map, which no loss of an objective looks at and which is large."""
    return replace(
        outputs,
        pooled=gathered(outputs.pooled),
        embedding=gathered(outputs.embedding),
        parts=_where_given(outputs.parts),
        logits=_where_given(outputs.logits),
        part_logits=_where_given(outputs.part_logits),
    )


def gathered_batch(batch: Batch) -> Batch:
    """The labels, shares and weights of all processes; the photos stay each process's own."""
    return replace(
        batch, labels=gathered(batch.labels), mixed=_where_given(batch.mixed), weights=_where_given(batch.weights)
    )


def _where_given(own: Tensor | None) -> Tensor | None:
    return None if own is None else gathered(own)
