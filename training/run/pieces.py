"""A batch cut into smaller ones, for want of memory."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from training.batch import Batch
from training.errors import RecipeInvalid

__all__ = ["pieces_of"]


def pieces_of(batch: Batch, count: int) -> list[Batch]:
    """So many batches of as many photos each; groups stay together.

    Raises:
        RecipeInvalid: the batch cannot be cut so.
    """
    if count == 1:
        return [batch]
    size, left = divmod(len(batch.images), count * (batch.group or 1))
    size *= batch.group or 1
    if left or not size:
        whole = f" in groups of {batch.group}" if batch.group else ""
        raise RecipeInvalid(
            f"{len(batch.images)} photos{whole}, a process's part of a batch, cannot be cut into {count} equal pieces; "
            "change the stage's batch or accumulation"
        )
    return [_rows(batch, at * size, (at + 1) * size) for at in range(count)]


def _rows(batch: Batch, first: int, last: int) -> Batch:
    def cut(whole: Tensor | None) -> Tensor | None:
        return None if whole is None else whole[first:last]

    return replace(
        batch,
        images=batch.images[first:last],
        labels=batch.labels[first:last],
        mixed=cut(batch.mixed),
        weights=cut(batch.weights),
    )
