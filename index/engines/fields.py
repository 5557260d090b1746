"""What an engine that holds whole items writes beside their vectors, for others who read the same collection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from index.engines.protocol import Numbers, Vectors

__all__ = ["Describe", "ItemFields"]


@dataclass(frozen=True, slots=True)
class ItemFields:
    """Of n items: their ids and labels, and their penalties, shape (n,)."""

    ids: Sequence[str]
    labels: Sequence[str]
    penalties: NDArray[np.float32]


Describe: TypeAlias = Callable[[Numbers, Vectors], ItemFields]
"""The fields of items, from their numbers (n,) and vectors (n, d)."""
