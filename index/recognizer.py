"""One gallery in memory, and the path from an embedding to a verdict. Read `Recognizer.recognize` top to bottom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from index.background import Background
from index.calibration import CERTAIN, Calibration, Evidence
from index.decision import decide, empty_gallery, same_photo
from index.distractors import Distractors
from index.engines import FlatIndex, OverlayIndex, VectorIndex
from index.errors import DimensionMismatch
from index.items import Item, ItemTable
from index.label_photos import LabelPhotosCache
from index.ranking import NEIGHBOURS, LabelPhotos, RankedLabel, margins, rank_labels
from index.verdict import Candidate, MatchedItem, Verdict

__all__ = ["DEFAULT_FAR_BUDGET", "Recognizer"]

DEFAULT_FAR_BUDGET = 0.01
_ITEMS_SHOWN = 5

Embeddings = NDArray[np.float32]


class Recognizer:
    """The items, distractors and calibration of one gallery.

    Searches may run side by side; a change must run alone.

    Args:
        dim: width of the embeddings.
        bundle_sha256: the bundle that made them.
        background: the bundle's own photos, for galleries too small to calibrate themselves.
        far_budget: false-accept rate to keep to.
        base: vectors that are never changed, such as a memory-mapped generation; changes lie over it.
    """

    def __init__(
        self,
        dim: int,
        *,
        bundle_sha256: str,
        background: Background | None = None,
        far_budget: float = DEFAULT_FAR_BUDGET,
        base: VectorIndex | None = None,
    ) -> None:
        self.dim = dim
        self.bundle_sha256 = bundle_sha256
        self.background = background or Background.none(dim)
        self.far_budget = far_budget
        self.calibration: Calibration | None = None
        self.table = ItemTable()
        self.distractors = Distractors(dim)
        self.views: dict[int, Embeddings] = {}
        self.index: VectorIndex = FlatIndex(dim) if base is None else OverlayIndex(base)
        self._photos = LabelPhotosCache(self.index, self.table)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def n_distractors(self) -> int:
        return len(self.distractors)

    def labels(self) -> Counter[str]:
        """Every label and how many items it has."""
        return self.table.labels()

    def photos(self, label: str) -> LabelPhotos:
        """The photos of a label that the gallery has."""
        return self._photos.of(label)

    def upsert(self, items: Sequence[Item]) -> None:
        """Add items and distractors; those whose number is already there get the new label and embedding.

        Raises:
            DimensionMismatch: an embedding of another width; nothing is changed.
        """
        for item in items:
            if item.embedding.shape != (self.dim,):
                raise DimensionMismatch(
                    f"item {item.id} has an embedding of shape {item.embedding.shape}; "
                    f"this gallery's have {self.dim} values",
                    expected=self.dim,
                )
        self.remove(item.number for item in items)
        self.distractors.put([item for item in items if item.label is None])
        labelled = {item.number: item for item in items if item.label is not None}
        if not labelled:
            return
        self.index.add(
            np.fromiter(labelled, np.int64, len(labelled)),
            np.stack([item.embedding for item in labelled.values()]).astype(np.float32),
        )
        for item in labelled.values():
            assert item.label is not None  # noqa: S101 - for the type checker
            self.table.put(item.number, item.id, item.label)
            self._photos.forget(item.label)
            if len(item.views):
                self.views[item.number] = item.views

    def remove(self, numbers: Iterable[int]) -> None:
        """Let go of items and distractors; numbers not held are passed over."""
        gone = list(numbers)
        self.distractors.discard(gone)
        held = [number for number in gone if number in self.table]
        self.index.remove(held)
        for number in held:
            self._photos.forget(self.table.label(number))
            self.table.discard(number)
            self.views.pop(number, None)

    def recognize(self, embeddings: Embeddings, *, top_k: int = 5) -> list[Verdict]:
        """Which label does each of `embeddings` (q, d) show, or none of them?

        Without a calibration every verdict is `unknown`, reason `not_calibrated`.

        Args:
            embeddings: unit length.
            top_k: most candidates to report.
        """
        if len(self) == 0:
            return [empty_gallery(self.far_budget) for _ in embeddings]
        return [
            # One query at a time: BLAS may round a row differently among others, and an answer must not depend on
            # what was asked beside it.
            self._verdict(ranked, float(self.distractors.penalties(query[None])[0]), top_k)
            for query, ranked in zip(embeddings, self.rank(embeddings), strict=True)
        ]

    def rank(self, embeddings: Embeddings, *, neighbours: int = NEIGHBOURS) -> list[list[RankedLabel]]:
        """The labels that the nearest photos of each query carry, scored over all their photos, best first."""
        _, numbers = self.index.search(embeddings, min(neighbours, len(self)))
        return [
            rank_labels(query, [self._photos.of(label) for label in self.table.labels_of(found.tolist())])
            for query, found in zip(embeddings, numbers, strict=True)
        ]

    def _verdict(self, ranked: list[RankedLabel], penalty: float, top_k: int) -> Verdict:
        scores = np.array([entry.score for entry in ranked])
        evidence = Evidence(scores, margins(scores), np.full(len(scores), penalty))
        if self.calibration is None:
            confidences = np.zeros(len(scores))
        else:
            confidences = self.calibration.confidences(evidence)
            # One photo shows one label: what the best candidate has, the others cannot have.
            confidences[1:] = np.minimum(confidences[1:], 1 - confidences[0])
        holders = [entry for entry in ranked if entry.holds_query]
        if holders and self.calibration is not None:
            others = [entry for entry in ranked if not entry.holds_query]
            shares = [CERTAIN / len(holders)] * len(holders) + [1 - CERTAIN] * len(others)
            candidates = self._candidates([*holders, *others][:top_k], shares)
            return same_photo(candidates, len(holders), self.calibration, penalty)
        candidates = self._candidates(ranked[:top_k], confidences.tolist())
        return decide(candidates, evidence, self.calibration, penalty, self.far_budget)

    def _candidates(self, ranked: Sequence[RankedLabel], confidences: Sequence[float]) -> tuple[Candidate, ...]:
        return tuple(
            Candidate(entry.label, entry.score, confidence, self._matched(entry))
            for entry, confidence in zip(ranked, confidences, strict=False)
        )

    def _matched(self, entry: RankedLabel) -> tuple[MatchedItem, ...]:
        best = np.argsort(-entry.similarities, kind="stable")[:_ITEMS_SHOWN]
        vectors = self._photos.of(entry.label).vectors[best].astype(np.float32)
        return tuple(
            MatchedItem(self.table.id(int(number)), float(similarity), float(penalty))
            for number, similarity, penalty in zip(
                entry.numbers[best],
                entry.similarities[best],
                self.distractors.penalties(vectors),
                strict=True,
            )
        )
