"""Which labels a query is compared with: those that its nearest photos carry, and always a few.

A label with a thousand photos can be all that the nearest photos carry. The labels behind it would then be missing from
the verdict: the runner-up that makes it ambiguous, the rivals that its share is measured against. So while few labels
are nominated, the nearest photos of all others are asked for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from index.engines import Selection, VectorIndex
from index.items import ItemTable
from index.space import Space

__all__ = ["FEWEST_NOMINATED", "nominated"]

FEWEST_NOMINATED = 5
"""Labels to be nominated where there are as many: a verdict depends on three, and five are shown unless asked for."""


def nominated(
    index: VectorIndex,
    table: ItemTable,
    space: Space,
    probes: NDArray[np.float32],
    nearest: NDArray[np.int64],
    *,
    leaving_out: frozenset[str] = frozenset(),
    within: Selection | None = None,
) -> list[str]:
    """The distinct labels of `nearest`, and of the nearest photos of other labels while these are fewer than five.

    At most four further searches: each finds another label, or that there is none.

    Args:
        space: has the photos of each label at hand.
        probes: (p, d) what was searched for.
        nearest: (p, k) the numbers found; further searches ask for as many. Those that are no item's are passed over.
        leaving_out: labels to pass over.
        within: the photos that may nominate; None for all.
    """
    labels = [label for label in table.labels_of(nearest.ravel().tolist()) if label not in leaving_out]
    while len(labels) < FEWEST_NOMINATED:
        theirs = [np.empty(0, np.int64), *(space.photos(label).numbers for label in leaving_out.union(labels))]
        passed_over = Selection.without(np.concatenate(theirs))
        if len(passed_over.listed) == len(table):
            break
        others = passed_over if within is None else within & passed_over
        further = table.labels_of(index.search(probes, nearest.shape[1], within=others)[1].ravel().tolist())
        if not further:
            break
        labels += further
    return labels
