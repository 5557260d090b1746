"""Adaptations that have not seen the labels they are judged by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from index.adaptation import WithinLabelScatter, fit_adaptation
from index.recognizer import Recognizer
from index.space import Space

__all__ = ["FOLDS", "Folds"]

FOLDS = 5
"""Parts of the labels; each is asked about with an adaptation fitted on the others."""

_MOST_FITTED = 20_000
"""Photos that the adaptation is fitted on."""


class Folds:
    """Adaptations of a gallery, each fitted without the labels of one fold, and one fitted on all of it."""

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        labels = sorted(recognizer.labels())
        order = np.random.default_rng(0).permutation(len(labels))
        self._fold_of = {labels[at]: turn % FOLDS for turn, at in enumerate(order)}
        scatters = [self._scatter(fold) for fold in range(FOLDS)]
        shrinkage = recognizer.pipeline.adaptation.shrinkage
        dim = recognizer.dim
        self.whole = fit_adaptation(WithinLabelScatter.total(scatters, dim), shrinkage)
        self._spaces = [
            recognizer.space_with(
                fit_adaptation(WithinLabelScatter.total(scatters[:fold] + scatters[fold + 1 :], dim), shrinkage)
            )
            for fold in range(FOLDS)
        ]

    def space_of(self, label: str) -> Space:
        """The space in which to ask about photos of `label`."""
        return self._spaces[self._fold_of[label]]

    def _scatter(self, fold: int) -> WithinLabelScatter:
        recognizer = self._recognizer
        labels = [label for label, its_fold in self._fold_of.items() if its_fold == fold]
        groups = _groups(recognizer, labels, _MOST_FITTED // FOLDS)
        return WithinLabelScatter.of(groups, recognizer.dim)


def _groups(recognizer: Recognizer, labels: Sequence[str], most: int) -> Iterable[NDArray[np.float32]]:
    """Photos of one thing each: those of a label, or a label's only photo with its views."""
    taken = 0
    for label in labels:
        if taken >= most:
            return
        numbers = recognizer.table.of_label(label)
        photos = recognizer.index.reconstruct(numbers)
        if len(numbers) == 1:
            photos = np.concatenate([photos, recognizer.views.get(int(numbers[0]), photos[:0])])
        taken += len(photos)
        yield photos
