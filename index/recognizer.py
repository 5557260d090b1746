"""One gallery in memory, and the path from an embedding to a verdict. Read `Recognizer.recognize` top to bottom."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from embedding.quality import Defect
from embedding.tracing import span
from index.adaptation import Adaptation
from index.background import Background
from index.calibration import Calibration
from index.decision import confidences_of, decide, empty_gallery, nothing_matches, same_photo, unusable
from index.distractors import Distractors, mean_of_top
from index.engines import FlatIndex, OverlayIndex, Selection, VectorIndex
from index.engines.protocol import ABSENT
from index.errors import DimensionMismatch
from index.items import Item, ItemTable, ListedItems
from index.nomination import nominated
from index.pipeline import Pipeline, Ranking
from index.promotion import MOST_EVIDENCE, promote, to_verify
from index.ranked import SHARE_TEMPERATURE, Ranked
from index.ranking import NEIGHBOURS, SAME_PHOTO, LabelPhotos, RankedLabel, rank_labels
from index.ranking.expansion import expand
from index.space import Space
from index.tuning import Tuning
from index.verdict import Candidate, MatchedItem, Verdict
from index.verification import FeatureFile, LocalFeatures, Match, Verifier, verifier_named, verify_shortlist

__all__ = ["DEFAULT_FAR_BUDGET", "SHARE_TEMPERATURE", "Local", "Ranked", "Recognizer", "Traced"]

DEFAULT_FAR_BUDGET = 0.01
_SHIPPED = Pipeline()
_ITEMS_SHOWN = 5

Embeddings = NDArray[np.float32]

Local: TypeAlias = "LocalFeatures | Callable[[], LocalFeatures] | None"
"""A query's local features; or how to get them, should they be needed; or None for none."""


@dataclass(frozen=True, slots=True)
class Traced:
    """A verdict and what it was made of; `ranked` is None where there was no label to rank."""

    verdict: Verdict
    ranked: Ranked | None


class Recognizer:
    """The items, distractors and calibration of one gallery.

    Searches may run side by side; a change must run alone.

    Args:
        dim: width of the embeddings.
        bundle_sha256: the bundle that made them.
        background: the bundle's own photos, for galleries too small to calibrate themselves.
        far_budget: false-accept rate to keep to.
        base: vectors that are never changed, such as a memory-mapped generation; changes lie over it.
        features: local features that are never changed, likewise.
        pipeline: which parts are used.
        verifier: compares local features, the one that the pipeline names; may be left out where that needs no files.
        listed: what the items of `base` are.

    Raises:
        LocalFeaturesMissing: the pipeline names a verifier that runs a network, and none is given.
    """

    def __init__(
        self,
        dim: int,
        *,
        bundle_sha256: str,
        background: Background | None = None,
        far_budget: float = DEFAULT_FAR_BUDGET,
        base: VectorIndex | None = None,
        features: FeatureFile | None = None,
        pipeline: Pipeline = _SHIPPED,
        verifier: Verifier | None = None,
        listed: ListedItems | None = None,
    ) -> None:
        self.dim = dim
        self.bundle_sha256 = bundle_sha256
        self.background = background or Background.none(dim)
        self.far_budget = far_budget
        self.pipeline = pipeline
        self.verifier: Verifier = verifier or verifier_named(pipeline.verification.verifier)
        self.table = ItemTable(listed)
        self.distractors = Distractors(dim)
        self.views: dict[int, Embeddings] = {}
        self.features = FeatureFile() if features is None else features
        self.index: VectorIndex = FlatIndex(dim) if base is None else OverlayIndex(base)
        self._tuning: Tuning | None = None
        self.space = self.space_with(None)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def n_distractors(self) -> int:
        return len(self.distractors)

    def labels(self) -> Counter[str]:
        """Every label and how many items it has."""
        return self.table.labels()

    @property
    def tuning(self) -> Tuning | None:
        """What the gallery has learned of itself; None before the first time."""
        return self._tuning

    @tuning.setter
    def tuning(self, tuning: Tuning | None) -> None:
        self._tuning = tuning
        adaptation = None if tuning is None else tuning.adaptation
        if not self.space.adapts_as(adaptation):  # or all that it knows would have to be found out again
            self.space = self.space_with(adaptation)

    @property
    def calibration(self) -> Calibration | None:
        """Of the tuning."""
        return None if self._tuning is None else self._tuning.calibration

    @property
    def ranking(self) -> Ranking:
        """How labels are scored: as the gallery chose, else as the pipeline says."""
        chosen = None if self._tuning is None else self._tuning.body.ranking
        return self.pipeline.ranking if chosen is None else chosen

    def search_by(self, index: VectorIndex) -> None:
        """Search the same vectors by another engine from now on."""
        self.index = index
        self.space = self.space_with(self.space.adaptation)

    def space_with(self, adaptation: Adaptation | None) -> Space:
        """The gallery as `adaptation` would have it."""
        penalized = self.pipeline.ranking.item_penalty > 0
        return Space(self.index, self.table, self.distractors, adaptation, penalized=penalized)

    def photos(self, label: str) -> LabelPhotos:
        """The photos of a label that the gallery has."""
        return self.space.photos(label)

    def upsert(self, items: Sequence[Item]) -> None:
        """Add items and distractors; those whose number is already there get the new label and embedding.

        Raises:
            DimensionMismatch: an embedding of another width; nothing is changed.
            FeaturesCorrupt: local features that are none; nothing is changed.
        """
        for item in items:
            if item.embedding.shape != (self.dim,):
                raise DimensionMismatch(
                    f"item {item.id} has an embedding of shape {item.embedding.shape}; "
                    f"this gallery's have {self.dim} values",
                    expected=self.dim,
                )
        for item in items:
            if item.local:
                LocalFeatures.from_bytes(item.local)
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
            self.space.forget(item.label)
            if len(item.views):
                self.views[item.number] = item.views
            if item.local:
                self.features.put(item.number, item.local)

    def remove(self, numbers: Iterable[int]) -> None:
        """Let go of items and distractors; numbers not held are passed over."""
        gone = list(numbers)
        self.distractors.discard(gone)
        held = [number for number in gone if number in self.table]
        self.index.remove(held)
        for number in held:
            self.space.forget(self.table.label(number))
            self.table.discard(number)
            self.views.pop(number, None)
            self.features.discard(number)

    def recognize(
        self,
        embeddings: Embeddings,
        *,
        local: Sequence[Local] | None = None,
        defects: Sequence[Defect | None] | None = None,
        top_k: int = 5,
    ) -> list[Verdict]:
        """Which label does each of `embeddings` (q, d) show, or none of them?

        Without a tuning every verdict is `unknown`, reason `not_calibrated`.

        Args:
            embeddings: unit length.
            local: the queries' local features, for verification; without them nothing is verified.
            defects: what makes a query unusable; None where nothing does.
            top_k: most candidates to report.
        """
        # One query at a time: BLAS may round a row differently among others, and an answer must not depend on what was
        # asked beside it.
        return [
            self.trace(query, local=source, defect=defect, top_k=top_k).verdict
            for query, source, defect in zip(
                embeddings, local or [None] * len(embeddings), defects or [None] * len(embeddings), strict=True
            )
        ]

    def trace(
        self,
        query: NDArray[np.float32],
        *,
        local: Local = None,
        defect: Defect | None = None,
        top_k: int = 5,
        within: Selection | None = None,
    ) -> Traced:
        """The verdict on one query (d,), and what it was made of. Arguments as of `recognize`.

        Args:
            within: ask about these photos alone (`index.filter`).
        """
        ranked = self.ranked(query, within=within)
        if ranked is None:
            return self.conclude(None, defect=defect, top_k=top_k)
        if defect is None and self._worth_verifying(ranked):
            ranked = self.verify(ranked, local() if callable(local) else local)
        return self.conclude(ranked, defect=defect, top_k=top_k)

    def conclude(self, ranked: Ranked | None, *, defect: Defect | None = None, top_k: int = 5) -> Traced:
        """The verdict on a query that was ranked, and verified if that was worth it; None where no label was."""
        if ranked is not None:
            verdict = self._verdict(ranked, top_k)
        elif len(self) == 0:
            verdict = empty_gallery(self.far_budget)
        else:
            verdict = nothing_matches(self.calibration, self.far_budget)
        return Traced(verdict if defect is None else unusable(verdict, defect), ranked)

    def wants_local(self, query: NDArray[np.float32], *, within: Selection | None = None) -> bool:
        """Whether local features of a query (d,) could change its verdict."""
        return self._verifies and self._worth_verifying(self.rank(query, within=within))

    def ranked(self, query: NDArray[np.float32], *, within: Selection | None = None) -> Ranked | None:
        """`rank`, or None where there is no label to rank: in an empty gallery, or within nothing."""
        ranked = self.rank(query, within=within) if len(self) else None
        return ranked if ranked is not None and ranked.labels else None

    def rank(
        self,
        query: NDArray[np.float32],
        *,
        space: Space | None = None,
        ranking: Ranking | None = None,
        neighbours: int = NEIGHBOURS,
        leaving_out: frozenset[str] = frozenset(),
        among_distractors: int | None = None,
        within: Selection | None = None,
    ) -> Ranked:
        """The labels that the nearest photos of a query (d,) carry, scored over all their photos; or a few labels more
        (`index.nomination`).

        Args:
            space: the gallery's own unless given.
            ranking: likewise.
            neighbours: photos that nominate labels.
            leaving_out: labels to pass over.
            among_distractors: the query's place among the distractors, if it is one: it is not compared with itself.
            within: the photos that nominate and score labels; all unless given. Pass the same object again where the
                selection is the same.
        """
        space = space or self.space
        seen = space.query(query)
        probes = space.probes(query, seen)
        with span("search"):
            similarities, nearest = self.index.search(probes, min(neighbours, len(self)), within=within)
            holding = nearest[0][similarities[0] >= SAME_PHOTO].tolist()
            if self.pipeline.ranking.expansion:
                query = self._expanded(query, leaving_out, within)
                seen = space.query(query)
                probes = space.probes(query, seen)
                _, nearest = self.index.search(probes, min(neighbours, len(self)), within=within)
        with span("rank"):
            labels = nominated(self.index, self.table, space, probes, nearest, leaving_out=leaving_out, within=within)
            space.fetch(labels)
            photos = [space.photos(label) if within is None else space.photos_within(label, within) for label in labels]
            strangers = space.to_strangers(seen)
            if among_distractors is not None:
                strangers = np.delete(strangers, among_distractors)
            return Ranked(
                rank_labels(seen.direction, photos, ranking or self.ranking, offset=seen.offset),
                mean_of_top(strangers),
                float(logsumexp(strangers / SHARE_TEMPERATURE)) if len(strangers) else -math.inf,
                frozenset(self.table.labels_of(holding)),
            )

    def _expanded(
        self, query: NDArray[np.float32], leaving_out: frozenset[str], within: Selection | None
    ) -> NDArray[np.float32]:
        """The query drawn towards its nearest photos."""
        wanted = self.pipeline.ranking.expansion
        passed_over = sum(len(self.table.of_label(label)) for label in leaving_out)
        _, numbers = self.index.search(query[None], min(wanted + passed_over, len(self)), within=within)
        found = numbers[0][numbers[0] != ABSENT].tolist()
        near = [number for number in found if self.table.label(number) not in leaving_out][:wanted]
        return expand(query, self.index.reconstruct(np.array(near, np.int64))) if near else query

    def verify(self, ranked: Ranked, local: LocalFeatures | None) -> Ranked:
        """The same labels after a look at the local features of the most promising photos."""
        settings = self.pipeline.verification
        if local is None or len(local) == 0:
            return ranked
        with span("verify"):
            matches = verify_shortlist(
                local,
                to_verify(ranked.labels, settings.photos),
                self.features,
                self.verifier,
                budget_ms=settings.budget_ms,
            )
        return replace(
            ranked, labels=promote(ranked.labels, matches, settings.weight, settings.presence), matches=matches
        )

    @property
    def _verifies(self) -> bool:
        return self.tuning is not None and self.tuning.verification and len(self.features) > 0 and len(self) > 0

    def _worth_verifying(self, ranked: Ranked) -> bool:
        """Whether a look at local features is worth its time.

        A label that stands further above the others than any match could lift them, and is known already, stays the
        answer unless another label matches: then confidence may fall, but this label remains the first.
        """
        calibration = self.calibration
        if calibration is None or not self._verifies or ranked.holders or not ranked.labels:
            return False
        best = ranked.best_evidence()
        overtaken = best.margin[0] <= self.pipeline.verification.weight * MOST_EVIDENCE
        return bool(overtaken or calibration.confidences(best)[0] < calibration.threshold)

    def _verdict(self, ranked: Ranked, top_k: int) -> Verdict:
        candidates = self.candidates(ranked, top_k)
        if ranked.holders and self.calibration is not None:
            return same_photo(candidates, len(ranked.holders), self.calibration, ranked.penalty)
        return decide(candidates, ranked.evidence(), self.calibration, ranked.penalty, self.far_budget)

    def candidates(self, ranked: Ranked, most: int) -> tuple[Candidate, ...]:
        """The best labels with their confidences and photos, best first; labels that hold the query before all others.

        Args:
            most: how many.
        """
        holds = np.array([entry.label in ranked.holders for entry in ranked.labels], np.bool_)
        confidences = confidences_of(ranked.evidence(), self.calibration, holds)
        pairs = list(zip(ranked.labels, confidences.tolist(), strict=True))
        if self.calibration is not None:
            pairs.sort(key=lambda pair: pair[0].label not in ranked.holders)
        return tuple(
            Candidate(entry.label, entry.score, confidence, self._matched(entry, ranked.matches))
            for entry, confidence in pairs[:most]
        )

    def _matched(self, entry: RankedLabel, matches: Mapping[int, Match]) -> tuple[MatchedItem, ...]:
        """The photos that speak for a label: the one that matched best, if any was verified, then the most similar."""
        inliers = [matches[number].inliers if number in matches else None for number in entry.numbers.tolist()]
        order = np.argsort(-entry.similarities, kind="stable").tolist()
        verified = [at for at in order if inliers[at] is not None]
        first = max(verified, key=lambda at: inliers[at] or 0, default=order[0])
        shown = list(dict.fromkeys([first, *order]))[:_ITEMS_SHOWN]
        # Of all the label's photos, of which a filter may have left some out.
        penalties = self.space.item_penalties(entry.label)[self._places(entry)]
        return tuple(
            MatchedItem(
                self.table.id(int(entry.numbers[at])), float(entry.similarities[at]), float(penalties[at]), inliers[at]
            )
            for at in shown
        )

    def _places(self, entry: RankedLabel) -> NDArray[np.int64]:
        """Where a label's ranked photos stand among all its photos."""
        return np.searchsorted(self.space.photos(entry.label).numbers, entry.numbers)
