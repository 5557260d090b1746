"""One query's labels in order, and what calibration weighs of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from index.calibration import Evidence
from index.ranking import RankedLabel, margins
from index.verification import Match

__all__ = ["SHARE_TEMPERATURE", "Ranked"]

SHARE_TEMPERATURE = 1 / 40
"""Difference of score at which one label has e times the share of another; chosen on validation photos of two sets."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """One query's labels, best first.

    Attributes:
        labels: with their scores.
        penalty: the query's.
        strange: log of the sum over the distractors of exp(cosine / `SHARE_TEMPERATURE`); -inf without any.
        holders: labels that hold this very photo.
        matches: what the query has in common with the gallery photos that were verified, by number.
    """

    labels: list[RankedLabel]
    penalty: float
    strange: float
    holders: frozenset[str]
    matches: Mapping[int, Match] = field(default_factory=dict)

    def evidence(self) -> Evidence:
        """For each label, in their order: the labels are told apart by all that was found, and whether the gallery has
        the thing by embeddings and a part of what verification found (`index.pipeline.Verification.presence`)."""
        scores = np.array([entry.score for entry in self.labels])
        presence = np.array([entry.score if entry.presence is None else entry.presence for entry in self.labels])
        return Evidence(presence, margins(scores), np.full(len(scores), self.penalty), self._shares(presence))

    def _shares(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log of each label's part in a softmax over labels and distractors."""
        scaled = scores / SHARE_TEMPERATURE
        return np.asarray(scaled - np.logaddexp(np.logaddexp.reduce(scaled), self.strange), np.float64)

    def best_evidence(self) -> Evidence:
        """For the best label alone."""
        return self.evidence().where(np.arange(len(self.labels)) == 0)
