"""How many photos the labels have: a few classes of sizes, and a picture of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from index.evaluation.plots.panel import COLOURS, png

__all__ = ["Sizes", "histogram_png", "sizes_of"]

_UPPER = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True)
class Sizes:
    """Labels of about one size.

    Attributes:
        least, most: photos of a label; there is no `most` in the last class.
        labels, photos: how many.
    """

    least: int
    most: int | None
    labels: int
    photos: int

    @property
    def name(self) -> str:
        if self.most is None:
            return f"{self.least} and more"
        return str(self.least) if self.least == self.most else f"{self.least} to {self.most}"


def sizes_of(counts: Sequence[int]) -> list[Sizes]:
    """Labels by size, from the smallest to the largest there is; classes in between may be empty."""
    numbers = np.asarray(counts)
    found = []
    for least, most in zip((1, *(end + 1 for end in _UPPER)), (*_UPPER, None), strict=True):
        own = numbers[(numbers >= least) & (numbers <= (most or np.inf))]
        found.append(Sizes(least, most, len(own), int(own.sum())))
    filled = [place for place, one in enumerate(found) if one.labels]
    return found[filled[0] : filled[-1] + 1] if filled else []


def histogram_png(counts: Sequence[int]) -> bytes:
    """Photos of each label, the largest first."""
    largest_first = np.sort(np.asarray(counts))[::-1]

    def draw(axes: Sequence[Axes]) -> None:
        axes[0].fill_between(
            np.arange(len(largest_first) + 1), [*largest_first, *largest_first[-1:]], step="post", color=COLOURS[0]
        )
        axes[0].set(
            yscale="log",
            ylim=(0.8, None),
            xlabel="labels, the largest first",
            ylabel="photos",
            title="photos of each label",
        )

    return png(draw)
