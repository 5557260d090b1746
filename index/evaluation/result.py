"""What an evaluation found: systems side by side on the same queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from index.evaluation.manifest import Manifest, Photo
from index.evaluation.scoring import METRICS, Answers, Figures

__all__ = ["FORMAT", "Evaluation", "System"]

FORMAT = "whichone-evaluation/1"


@dataclass(frozen=True)
class System:
    """One way to answer, and how well it did.

    Attributes:
        name: for headings.
        how: one sentence on what it does.
        answers: to every query.
        figures: over all queries.
        groups: the same for each value of the column asked for.
    """

    name: str
    how: str
    answers: Answers
    figures: Figures
    groups: dict[str, Figures] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """Everything the table, the JSON and the HTML report are made of.

    Attributes:
        manifest: the photos, with their sha256.
        systems: Whichone first, then what it is compared with.
        bundle: the model's id, such as default@1.
        bundle_sha256: its identity.
        precision: the model file used, such as int8.
        far_budget: the false-accept rate that the threshold was set for.
        calibration: where confidence and threshold come from, as JSON.
        group_column: the column that `groups` splits by; empty without.
    """

    manifest: Manifest
    systems: tuple[System, ...]
    bundle: str
    bundle_sha256: str
    precision: str
    far_budget: float
    calibration: dict[str, Any]
    group_column: str = ""

    @property
    def ours(self) -> System:
        return self.systems[0]

    def to_json(self) -> dict[str, Any]:
        """Everything but the photos themselves. Undefined figures are null."""
        return {
            "format": FORMAT,
            "bundle": {"id": self.bundle, "sha256": self.bundle_sha256, "precision": self.precision},
            "counts": self.counts(),
            "far_budget": self.far_budget,
            "calibration": self.calibration,
            "metrics": {metric.key: {"title": metric.title, "meaning": metric.meaning} for metric in METRICS},
            "systems": [self._system(system) for system in self.systems],
            "queries": [self._query(i) for i in range(len(self.manifest.queries))],
        }

    def counts(self) -> dict[str, int]:
        """How many photos of each kind, and labels."""
        manifest = self.manifest
        known = sum(photo.known for photo in manifest.queries)
        return {
            "gallery": len(manifest.gallery),
            "labels": len(manifest.labels),
            "distractors": len(manifest.distractors),
            "calibrate": len(manifest.calibrate),
            "queries_known": known,
            "queries_unknown": len(manifest.queries) - known,
        }

    def _system(self, system: System) -> dict[str, Any]:
        document: dict[str, Any] = {
            "name": system.name,
            "how": system.how,
            "threshold": system.answers.threshold,
            "figures": system.figures.to_json(),
        }
        if self.group_column:
            groups = {value: figures.to_json() for value, figures in system.groups.items()}
            document["groups"] = {"column": self.group_column, "values": groups}
        return document

    def _query(self, position: int) -> dict[str, Any]:
        photo = self.manifest.queries[position]
        return {
            "path": photo.name,
            "sha256": photo.sha256,
            "label": photo.label,
            "is_known": photo.known,
            "answers": {system.name: _answer(system, position, self.manifest.gallery) for system in self.systems},
        }


def _answer(system: System, position: int, gallery: Sequence[Photo]) -> dict[str, Any]:
    answer = system.answers.answers[position]
    return {
        "verdict": answer.verdict,
        "reason": answer.reason,
        "candidates": [{"label": label, "confidence": round(confidence, 6)} for label, confidence in answer.candidates],
        "evidence": None if answer.evidence is None else gallery[answer.evidence].name,
    }
