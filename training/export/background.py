"""What a bundle knows of photos that show nothing anyone would enrol: `distractors.npz`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from embedding.embedder import Embedder
from embedding.manifest import DISTRACTORS
from embedding.rephotograph import rephotograph

__all__ = ["VIEWS", "write_background"]

VIEWS = 3


def write_background(folder: Path, embedder: Embedder, photos: Sequence[Image.Image]) -> None:
    """Write the embeddings of photos (n, d), and of `VIEWS` simulated re-photographs of each (n, v, d).

    Args:
        folder: of the bundle.
        embedder: of the bundle's model.
        photos: RGB, no two of one thing.
    """
    views = [embedder.embed([rephotograph(photo, seed=seed) for seed in range(VIEWS)]) for photo in photos]
    np.savez(folder / DISTRACTORS, embeddings=embedder.embed(photos), views=np.stack(views))
