"""From the similarities of a label's photos to one score of the label.

Every function takes the cosines (n,) of one query to the n >= 1 photos of one label and gives one number, on the scale
of a cosine (but for `top_k_sum`). None of them looks at another label, so the order of labels changes no score.
"""

from __future__ import annotations

from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from index.pipeline import Ranking

__all__ = [
    "aggregate",
    "best",
    "blend",
    "mean",
    "needs_prototype",
    "softmax_weighted",
    "top_k_mean",
    "top_k_sum",
]

Floats = NDArray[np.float64]


def best(similarities: Floats) -> float:
    """The most similar photo: the nearest neighbour, seen from one label."""
    # Python's max over the few photos of a label takes a fifth of the time of NumPy's.
    return float(max(similarities.tolist()))


def mean(similarities: Floats) -> float:
    """The mean over all photos: the prototype before it is scaled to unit length."""
    # What the array's own mean does, without its ceremony, which takes longer than the few photos of a label.
    return float(np.add.reduce(similarities)) / len(similarities)


def top_k_mean(similarities: Floats, k: int) -> float:
    """The mean of the k most similar photos; of all of them, where there are fewer."""
    return top_k_sum(similarities, k) / min(k, len(similarities))


def top_k_sum(similarities: Floats, k: int) -> float:
    """The sum of the k most similar photos: the vote of nearest neighbours, weighted by similarity.

    Source: Dudani, "The distance-weighted k-nearest-neighbor rule" (IEEE SMC 1976); the landmark winner sums in this
    way (`index.ranking.landmark`). A label with fewer than k photos has fewer to add up, and stands lower for that.
    """
    return float(np.sort(similarities)[::-1][:k].sum())


def softmax_weighted(similarities: Floats, temperature: float) -> float:
    """``sum_i w_i s_i`` with ``w_i = exp(s_i / T) / sum_j exp(s_j / T)``: from the best (T -> 0) to the mean (T large).

    Source: the Boltzmann operator; as a pooling of similarities, Ilse et al., "Attention-based deep multiple instance
    learning" (ICML 2018).

    Args:
        similarities: (n,).
        temperature: T > 0, in units of cosine.
    """
    weights = np.exp((similarities - similarities.max()) / temperature)
    return float((weights * similarities).sum() / weights.sum())


def blend(best_photo: float, to_prototype: float, prototype_weight: float) -> float:
    """``(1 - w) * best + w * prototype``.

    The mean of a label's photos beats the best single one, and keeping some of the best photo serves labels that look
    different from different sides (docs/benchmarks.md).

    Args:
        best_photo: cosine to the label's most similar photo.
        to_prototype: cosine to the mean of its photos (Snell et al., "Prototypical networks", NeurIPS 2017).
        prototype_weight: w, within 0..1.
    """
    return (1 - prototype_weight) * best_photo + prototype_weight * to_prototype


def needs_prototype(ranking: Ranking) -> bool:
    """Whether `aggregate` looks at the prototype; its cosine need not be computed otherwise."""
    return ranking.aggregation in {"auto", "blend", "prototype"}


def aggregate(similarities: Floats, to_prototype: float, ranking: Ranking) -> float:
    """The score of one label as `ranking` has it.

    Args:
        similarities: (n,) of the query to the label's photos.
        to_prototype: cosine of the query to the mean of the label's photos.
        ranking: which aggregation, and its settings; `auto` that nobody has settled is `blend`.
    """
    match ranking.aggregation:
        case "auto" | "blend":
            score = blend(best(similarities), to_prototype, ranking.prototype_weight)
        case "max":
            score = best(similarities)
        case "prototype":
            score = to_prototype
        case "mean":
            score = mean(similarities)
        case "top_k_mean":
            score = top_k_mean(similarities, ranking.k)
        case "top_k_sum":
            score = top_k_sum(similarities, ranking.k)
        case "softmax":
            score = softmax_weighted(similarities, ranking.temperature)
        case never:
            assert_never(never)
    return score
