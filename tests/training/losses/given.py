"""Outputs and batches of as little as a loss needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.batch import Batch, Outputs


def outputs_of(
    embedding: Tensor | None = None,
    *,
    parts: Tensor | None = None,
    logits: Tensor | None = None,
    part_logits: Tensor | None = None,
    pooled: Tensor | None = None,
) -> Outputs:
    nothing = torch.zeros(1, 1)
    flat = parts.flatten(1) if parts is not None else nothing
    return Outputs(
        features=torch.zeros(1, 1, 1, 1),
        pooled=nothing if pooled is None else pooled,
        embedding=flat if embedding is None else embedding,
        parts=parts,
        logits=logits,
        part_logits=part_logits,
    )


def batch_of(
    labels: Sequence[int] | NDArray[np.int64],
    *,
    weights: NDArray[np.float64] | None = None,
    mixed: NDArray[np.float64] | None = None,
) -> Batch:
    return Batch(
        images=torch.zeros(len(labels), 3, 1, 1),
        labels=torch.as_tensor(np.asarray(labels), dtype=torch.int64),
        mixed=None if mixed is None else torch.tensor(mixed),
        weights=None if weights is None else torch.tensor(weights, dtype=torch.float32),
    )
