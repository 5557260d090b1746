"""What is measured after an epoch, on the validation photos: the numbers of `index.evaluation`, from vectors.

Three views of the same network, each with its own prefix:

- ``recall_1``, ``recall_10``, ``map_100``: each validation photo that has a label asks among the others. Right for
  labels that training has not seen, and defined for every split.
- ``knn_...``: validation photos ask a gallery of training photos; a label scores as its nearest photo does.
- ``classifier_...``: the network's own classes, by probability.

For the last two: ``top1``, ``top5``, ``map5`` over the photos whose label can be answered, ``gap`` with all of them,
``auroc`` of photos answered rightly against photos of labels that the gallery (the classes) does not have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from index.evaluation import metrics
from index.evaluation.retrieval import recall_at
from training.run.mean_average_precision import map_at

__all__ = ["METRICS", "Answers", "Embedded", "MetricName", "knn_answers", "measure"]

MetricName: TypeAlias = Literal[
    "recall_1",
    "recall_10",
    "map_100",
    "knn_top1",
    "knn_top5",
    "knn_map5",
    "knn_gap",
    "knn_auroc",
    "classifier_top1",
    "classifier_top5",
    "classifier_map5",
    "classifier_gap",
    "classifier_auroc",
]
METRICS: tuple[MetricName, ...] = get_args(MetricName)

RANKED = 5
_ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class Answers:
    """Labels ranked for n photos, best first.

    Attributes:
        labels: (n, r), r at most `RANKED`.
        scores: (n, r): cosines, or probabilities.
    """

    labels: NDArray[np.str_]
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class Embedded:
    """n photos as a network sees them.

    Attributes:
        names: (n,), of the photos.
        labels: (n,); empty for a stranger, which shows nothing that has a label.
        vectors: (n, d) float32 unit rows.
        classified: what the classifier answers; None where the network has none.
    """

    names: Sequence[str]
    labels: Sequence[str]
    vectors: NDArray[np.float32]
    classified: Answers | None = None


def measure(queries: Embedded, gallery: Embedded | None, classes: Sequence[str]) -> dict[MetricName, float]:
    """Every metric that is defined for these photos; nan is left out.

    Args:
        queries: the validation photos.
        gallery: training photos; None leaves the k-NN metrics out.
        classes: that the classifier knows.
    """
    found = _retrieval(queries)
    if gallery is not None and len(gallery.names):
        found |= _answered("knn", queries, knn_answers(queries, gallery), set(gallery.labels))
    if queries.classified is not None:
        found |= _answered("classifier", queries, queries.classified, set(classes))
    return {name: found[name] for name in METRICS if name in found and not np.isnan(found[name])}


def knn_answers(queries: Embedded, gallery: Embedded) -> Answers:
    """The labels whose nearest gallery photo is nearest to each query."""
    order = np.argsort(np.asarray(gallery.labels), kind="stable")
    labels, starts = np.unique(np.asarray(gallery.labels)[order], return_index=True)
    vectors = gallery.vectors[order]
    parts = [
        _best(np.maximum.reduceat(queries.vectors[at : at + _ROWS_AT_ONCE] @ vectors.T, starts, axis=1))
        for at in range(0, len(queries.vectors), _ROWS_AT_ONCE)
    ]
    best = np.concatenate([part[0] for part in parts]) if parts else np.zeros((0, 0), np.intp)
    scores = np.concatenate([part[1] for part in parts]) if parts else np.zeros((0, 0))
    return Answers(labels[best], scores.astype(np.float64))


def _best(scores: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    best = np.argsort(-scores, axis=1, kind="stable")[:, :RANKED]
    return best, np.take_along_axis(scores, best, axis=1)


def _retrieval(queries: Embedded) -> dict[str, float]:
    labelled = [at for at, label in enumerate(queries.labels) if label]
    vectors, labels = queries.vectors[labelled], [queries.labels[at] for at in labelled]
    if len(set(labels)) == len(labels):
        return {}  # no label has two photos: nothing could be found
    recall = recall_at(vectors, labels, (1, 10))
    return {"recall_1": recall[1], "recall_10": recall[10], "map_100": map_at(vectors, labels, 100)}


def _answered(prefix: str, queries: Embedded, answers: Answers, known: set[str]) -> dict[str, float]:
    truth = [label if label in known else None for label in queries.labels]
    ranked = answers.labels.tolist()
    confidence = answers.scores[:, 0] if truth else np.zeros(0)
    is_known = np.array([one is not None for one in truth], bool)
    right = np.array([metrics.is_right(one, row[0]) for one, row in zip(truth, ranked, strict=True)], bool)
    asked = [(one, row) for one, row in zip(truth, ranked, strict=True) if one is not None]
    labels, rows = [one for one, _ in asked], [row for _, row in asked]
    return {
        f"{prefix}_top1": metrics.top_k_accuracy(labels, rows, 1),
        f"{prefix}_top5": metrics.top_k_accuracy(labels, rows, 5),
        f"{prefix}_map5": metrics.map_at_k(labels, rows, 5),
        f"{prefix}_gap": metrics.gap(truth, [row[0] for row in ranked], confidence, queries.names),
        f"{prefix}_auroc": metrics.auroc(confidence[is_known & right], confidence[~is_known]),
    }
