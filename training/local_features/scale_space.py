"""A photo ever more blurred, in a graph of fixed sizes: octaves of levels for a detector, halves for patches.

kornia's pyramids (`ScalePyramid`, `pyrdown`) with every size a constant, which those of the exporter must be.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["LEVELS", "SIGMA", "halves", "octaves"]

LEVELS = 3  # of an octave
SIGMA = 1.6  # of its first level, in its pixels

_TAKEN = 0.5  # sigma of a photo as it comes
_LEAST_OCTAVE = 24  # pixels of a side: fewer hold no blob
_BINOMIAL = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16


def octaves(grey: Tensor, size: int) -> list[Tensor]:
    """Levels (LEVELS + 2, side, side) of each octave of a photo (1, 1, size, size); level l has a sigma of
    SIGMA * 2 ** (l / LEVELS) in the octave's pixels. Middles of first and of last pixels lie on each other.
    """
    first, found = _blurred(grey, _gaussian((SIGMA**2 - _TAKEN**2) ** 0.5)), []
    while True:
        levels = [first]
        for level in range(LEVELS + 1):
            sigma, further = (SIGMA * 2 ** (part / LEVELS) for part in (level, level + 1))
            levels.append(_blurred(levels[-1], _gaussian((further**2 - sigma**2) ** 0.5)))
        found.append(torch.cat(levels)[:, 0])
        size = size // 2
        if size < _LEAST_OCTAVE:
            return found
        first = functional.interpolate(levels[LEVELS], size=(size, size), mode="bilinear", align_corners=True)


def halves(grey: Tensor, number: int) -> list[Tensor]:
    """A photo (1, 1, s, s), one of half the side, and so on; the corners of first pixels lie on each other."""
    levels = [grey]
    while len(levels) < number:
        levels.append(functional.avg_pool2d(_blurred(levels[-1], _BINOMIAL), 2))
    return levels


def _gaussian(sigma: float) -> Tensor:
    """Of four sigmas to either side."""
    reach = (int(8 * sigma + 1) | 1) // 2
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float64) / sigma) ** 2)
    return (kernel / kernel.sum()).float()


def _blurred(photo: Tensor, kernel: Tensor) -> Tensor:
    reach = len(kernel) // 2
    across = functional.pad(photo, (reach, reach, 0, 0), mode="reflect")
    down = functional.pad(functional.conv2d(across, kernel[None, None, None]), (0, 0, reach, reach), mode="reflect")
    return functional.conv2d(down, kernel[None, None, :, None])
