"""What class scores are worth on photos that were not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedding.preprocess import preprocess
from index.evaluation.metrics import expected_calibration_error
from training.data.classes import UNKNOWN
from training.data.listing import TrainingPhoto
from training.data.reading import read_photo
from training.export.onnx_graph import SCORES, run_graph
from training.inference.temperature import fit_temperature, negative_log_likelihood, probabilities
from training.inference.thresholds import fit_threshold
from training.run.trained import Trained

__all__ = ["fit_scores"]

_AT_ONCE = 32


def fit_scores(trained: Trained, path: Path, held_out: Sequence[TrainingPhoto]) -> tuple[float, dict[str, Any]]:
    """The temperature of a graph's class scores, and figures for the manifest.

    Where photos of other things are held out as well: the probability from which a class is told rather than "unknown".

    Args:
        trained: whose classes and preprocessing the graph has.
        path: ONNX file with scores.
        held_out: photos that were not trained on; without one of a known class the temperature stays 1.

    Raises:
        RunFailed: a photo cannot be read.
    """
    truth = np.array([trained.classes.number(photo.label) for photo in held_out], np.int64)
    known = truth != UNKNOWN
    if not known.any():
        return 1.0, {"held_out_photos": 0, "temperature": "1, for want of held-out photos of known classes"}
    scores = _scores(trained, path, held_out)
    temperature = fit_temperature(scores[known], truth[known])
    figures = {"held_out_photos": int(known.sum()), **_figures(scores[known], truth[known], temperature)}
    if not known.all():
        classes = scores.shape[1]
        found = fit_threshold(probabilities(scores, temperature), np.where(known, truth, classes).astype(np.int64))
        figures |= {
            "held_out_strangers": int((~known).sum()),
            "unknown_threshold": found.threshold,
            "map_5_with_unknown": found.map_5,
        }
    return temperature, figures


def _figures(scores: NDArray[np.float32], truth: NDArray[np.int64], temperature: float) -> dict[str, Any]:
    right = scores.argmax(1) == truth
    figures: dict[str, Any] = {"top_1": float(right.mean())}
    for name, value in (("before", 1.0), ("after", temperature)):
        confidence = probabilities(scores, value).max(1)
        figures[f"nll_{name}"] = negative_log_likelihood(scores, truth, value)
        figures[f"ece_{name}"] = expected_calibration_error(confidence, right)
    return figures


def _scores(trained: Trained, path: Path, photos: Sequence[TrainingPhoto]) -> NDArray[np.float32]:
    parts = []
    for at in range(0, len(photos), _AT_ONCE):
        images = [read_photo(one, trained.recipe.data.photos) for one in photos[at : at + _AT_ONCE]]
        parts.append(run_graph(path, np.stack([preprocess(one, trained.preprocess) for one in images]))[SCORES])
    return np.concatenate(parts)
