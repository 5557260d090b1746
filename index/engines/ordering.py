"""The order of an answer: most similar first, equals by their number, also where the k-th and the next are equal."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from index.engines.protocol import ABSENT, Numbers, Vectors

__all__ = ["best_of", "in_order", "lowest", "no_answer", "padded"]


def no_answer(queries: int, k: int) -> tuple[Vectors, Numbers]:
    """k times nothing for each query."""
    return np.full((queries, k), -np.inf, np.float32), np.full((queries, k), ABSENT, np.int64)


def lowest(values: NDArray[np.float32] | NDArray[np.int64]) -> float:
    """The least of some values; of a single one, for a single query, in a tenth of the time."""
    return float(values.item()) if len(values) == 1 else float(values.min())


def padded(similarities: Vectors, numbers: Numbers, k: int) -> tuple[Vectors, Numbers]:
    """Rows (q, n), n <= k, filled up with nothing to (q, k)."""
    here = similarities.shape[1]
    if here == k:
        return similarities, numbers
    all_similarities, all_numbers = no_answer(len(similarities), k)
    all_similarities[:, :here], all_numbers[:, :here] = similarities, numbers
    return all_similarities, all_numbers


def best_of(similarities: Vectors, numbers: Numbers, k: int) -> tuple[Vectors, Numbers]:
    """The k best of each row (q, n), n >= k, in order."""
    order = np.lexsort((numbers, -similarities), axis=1)[:, :k]
    if len(order) == 1:  # a third of the time of what serves any number of rows
        return similarities[:, order[0]], numbers[:, order[0]]
    return np.take_along_axis(similarities, order, axis=1), np.take_along_axis(numbers, order, axis=1)


def in_order(search: Callable[[int], tuple[Vectors, Numbers]], k: int, most: int) -> tuple[Vectors, Numbers]:
    """The k best by a search that leaves open which of equals it gives, and in which order.

    One more than k is asked for, and more again while the last one given equals the k-th: only then is it known which
    of the equals have the least numbers.

    Args:
        search: answers with that many, best first, similarity -inf where there are no more.
        k: at most `most`.
        most: vectors that there are.
    """
    asked = min(k + 1, most)
    similarities, numbers = search(asked)
    if _all_differ(similarities):  # the common case
        return similarities[:, :k], numbers[:, :k]
    while asked < most and _cut_among_equals(similarities, k):
        asked = min(4 * asked, most)
        similarities, numbers = search(asked)
    return best_of(similarities, numbers, k)


def _all_differ(similarities: Vectors) -> bool:
    """Whether no row, best first, holds two equals."""
    if len(similarities) == 1:
        row = similarities[0].tolist()
        return len(set(row)) == len(row)
    return not (similarities[:, 1:] == similarities[:, :-1]).any()


def _cut_among_equals(similarities: Vectors, k: int) -> bool:
    last = similarities[:, -1]
    return bool(((last == similarities[:, k - 1]) & ~np.isneginf(last)).any())
