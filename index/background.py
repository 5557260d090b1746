"""Photos that come with a bundle: what little is known about strangers before a gallery has photos of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedding.bundle import Bundle

__all__ = ["Background"]


@dataclass(frozen=True, slots=True)
class Background:
    """Embeddings of unrelated photos, no two of one thing.

    Attributes:
        photos: (b, d) float32, unit length.
        views: (b, v, d) float32: simulated re-photographs of each.
    """

    photos: NDArray[np.float32]
    views: NDArray[np.float32]

    @classmethod
    def of(cls, bundle: Bundle) -> Background:
        """What `bundle` ships."""
        return cls(bundle.distractors(), bundle.distractor_views())

    @classmethod
    def none(cls, dim: int) -> Background:
        """No background at all."""
        return cls(np.empty((0, dim), np.float32), np.empty((0, 0, dim), np.float32))

    def __len__(self) -> int:
        return len(self.photos)
