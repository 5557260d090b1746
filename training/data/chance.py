"""Randomness that hangs on its place in a run and on nothing else: not on workers, nor on what was drawn before.

So a run that is taken up again sees the same photos, to the bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ["numbers", "seed_of", "seeded"]


def seed_of(*place: int | str) -> int:
    """63 bits that hang on all of the place, such as (run seed, "photo", epoch, index)."""
    text = "\0".join(str(part) for part in place)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numbers(*place: int | str) -> np.random.Generator:
    """NumPy's random numbers of a place."""
    return np.random.default_rng(seed_of(*place))


@contextmanager
def seeded(*place: int | str) -> Iterator[None]:
    """Within it, torch's own CPU generator gives the numbers of a place; after it, it goes on as if nothing had been.

    For torchvision's transforms, which know no other generator.
    """
    before = torch.get_rng_state()
    # Not torch.manual_seed: that also reseeds every GPU.
    torch.default_generator.manual_seed(seed_of(*place))
    try:
        yield
    finally:
        torch.set_rng_state(before)
