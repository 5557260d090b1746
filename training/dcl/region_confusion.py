"""Photos with their regions shuffled, and where every region came from."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from training.batch import Destroyed
from training.errors import RecipeInvalid

__all__ = ["Mode", "RegionConfusion", "paper_permutation", "released_permutation"]

Mode: TypeAlias = Literal["paper", "released"]


class RegionConfusion:
    """Region confusion mechanism of DCL: cells x cells regions change places, not far in the paper's way.

    Source: Chen et al., Destruction and Construction Learning for Fine-grained Image Recognition, CVPR 2019, section
    3.1, and `swap` of JDAI-CV/DCL, transforms/functional.py. In both ways the true permutation is told; the release
    guesses it from mean colours, and cells of like colour collide.

    Args:
        cells: in a row, and in a column.
        mode: `paper_permutation` or `released_permutation`.
        reach: of the paper's way, k: a cell moves by less than 2k places along each axis.
        border: pixels that are cut off all round first, as the release does (10); the rest is enlarged again.
    """

    def __init__(self, cells: int, mode: Mode, reach: float, border: int) -> None:
        self.cells, self.mode, self.reach, self.border = cells, mode, reach, border

    def __call__(self, images: Tensor, generator: torch.Generator | None = None) -> Destroyed:
        """Destroy each photo of (n, 3, h, w) in its own way.

        Args:
            images: left as they are.
            generator: on the CPU; None: torch's own.

        Raises:
            RecipeInvalid: a photo has fewer pixels than cells and borders need.
        """
        positions = torch.stack([self._permutation(generator) for _ in images])
        return Destroyed(self._place(images, positions.to(images.device)), positions.to(images.device))

    def _permutation(self, generator: torch.Generator | None) -> Tensor:
        if self.mode == "paper":
            return paper_permutation(self.cells, self.reach, generator)
        return released_permutation(self.cells, generator)

    def _place(self, images: Tensor, positions: Tensor) -> Tensor:
        height, width = images.shape[2:]
        inner = images[..., self.border : height - self.border, self.border : width - self.border]
        tall, wide = inner.shape[2] // self.cells, inner.shape[3] // self.cells
        if not (tall and wide):
            raise RecipeInvalid(
                f"Photos of {height} x {width} pixels cannot be cut into {self.cells} x {self.cells} regions inside a "
                f"border of {self.border} pixels; take larger photos or fewer cells."
            )
        whole = _resized(inner, tall * self.cells, wide * self.cells)
        n, channels = images.shape[:2]
        apart = whole.reshape(n, channels, self.cells, tall, self.cells, wide).permute(0, 2, 4, 1, 3, 5)
        in_row = apart.reshape(n, self.cells**2, channels, tall, wide)
        moved = in_row[torch.arange(n, device=images.device)[:, None], positions]
        grid = moved.reshape(n, self.cells, self.cells, channels, tall, wide).permute(0, 3, 1, 4, 2, 5)
        return _resized(grid.reshape(whole.shape), height, width)


def _resized(images: Tensor, height: int, width: int) -> Tensor:
    if images.shape[2:] == (height, width):
        return images
    return functional.interpolate(images, (height, width), mode="bilinear", antialias=True)


def paper_permutation(cells: int, reach: float, generator: torch.Generator | None = None) -> Tensor:
    """(cells^2,): which cell stands in each place, row by row, after rows were shuffled and then columns.

    In each row the place i gets the key i + r, r uniform in (-reach, reach), and cells are sorted by key; so no cell
    moves by 2 reach places or more along it. Then each column likewise.
    """
    grid = torch.arange(cells**2).view(cells, cells)

    def keys() -> Tensor:
        noise = torch.rand(cells, cells, generator=generator)
        return torch.arange(cells) + reach * (2 * noise - 1)

    grid = grid.gather(1, keys().argsort(dim=1))
    return grid.gather(0, keys().argsort(dim=1).T).flatten()


def released_permutation(cells: int, generator: torch.Generator | None = None) -> Tensor:
    """(cells^2,): which cell stands in each place, row by row, as the release shuffles.

    Along a row, each cell changes places with what then stands before it, or not, by chance; so a cell may be carried
    on to the end of its row, and whole rows down to the last: it does not stay near. Its author found it the more
    stable of the two (JDAI-CV/DCL, issue 31).
    """

    def carried() -> Tensor:
        order = list(range(cells))
        for place, swap in enumerate(torch.randint(2, (cells - 1,), generator=generator).tolist(), start=1):
            if swap:
                order[place - 1], order[place] = order[place], order[place - 1]
        return torch.tensor(order)

    grid = torch.stack([cells * row + carried() for row in range(cells)])
    return grid[carried()].flatten()
