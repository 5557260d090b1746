"""The answers of several networks made one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.errors import RecipeInvalid

__all__ = ["concatenated", "mean_of_probabilities", "sum_of_probabilities"]

_LEAST_LENGTH = 1e-12


def mean_of_probabilities(
    members: Sequence[NDArray[np.floating]], weights: Sequence[float] | None = None
) -> NDArray[np.float64]:
    """The weighted mean of class probabilities, (n, classes). Source: seeds of VIPriors 2020 and AliProducts 2020.

    Args:
        members: (n, classes) each, of the same photos and classes.
        weights: one a member, not negative; None where all weigh the same.

    Raises:
        RecipeInvalid: no member, members of other photos or classes, or weights that cannot be.
    """
    share = np.ones(len(members)) if weights is None else np.asarray(weights, np.float64)
    if len(share) != len(members) or not (share >= 0).all() or not share.sum() > 0:
        raise RecipeInvalid(
            f"{len(members)} members need as many weights, none below 0 and not all 0; came {share.tolist()}."
        )
    total = sum_of_probabilities([row * part for row, part in zip(members, share, strict=True)])
    return np.asarray(total / share.sum(), np.float64)


def sum_of_probabilities(members: Sequence[NDArray[np.floating]]) -> NDArray[np.float64]:
    """The sum over networks, (n, classes), by which the AliProducts 2020 winner ranks; it has the order of the mean.

    Raises:
        RecipeInvalid: no member, or members of other photos or classes.
    """
    shapes = {member.shape for member in members}
    if len(shapes) != 1:
        came = ", ".join(str(shape) for shape in sorted(shapes)) or "none"
        raise RecipeInvalid(f"The members of an ensemble must judge the same photos and classes; came {came}.")
    return np.asarray(np.sum([member.astype(np.float64) for member in members], axis=0), np.float64)


def concatenated(members: Sequence[NDArray[np.floating]]) -> NDArray[np.float32]:
    """Embeddings side by side, each brought to unit length first, and the whole again: (n, sum of d).

    The cosine of two such vectors is the mean of the members' cosines. Source: the Google Landmark Recognition 2020
    winner (psinger/kaggle-landmark-recognition-2020-1st-place, blend_ranking.ipynb).

    Args:
        members: (n, d) each; d may differ.

    Raises:
        RecipeInvalid: no member, or members of other numbers of photos.
    """
    if len({len(member) for member in members}) != 1:
        raise RecipeInvalid(
            f"The members of an ensemble must see the same photos; came {[len(member) for member in members]}."
        )
    unit = [_unit(member.astype(np.float64)) for member in members]
    return np.asarray(np.concatenate(unit, axis=1) / np.sqrt(len(unit)), np.float32)


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _LEAST_LENGTH), np.float64)
