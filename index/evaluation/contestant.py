"""One configuration in the contest: enrol, tune, ask. Every configuration sees the same vectors and local features."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from embedding.embedder import Embedder
from index.background import Background
from index.evaluation import yardstick
from index.evaluation.answers import Answer
from index.evaluation.embeddings import Progress
from index.evaluation.kept import Embeddings
from index.evaluation.manifest import Manifest, Photo
from index.items import Item
from index.labelled import LabelledQueries
from index.pipeline import Pipeline, Switch
from index.recognizer import Recognizer
from index.tuner import tune
from index.tuning import Tuning
from index.verdict import Verdict
from index.verification import Verifier

__all__ = ["TOP_K", "Asked", "Contestant", "ask_yardstick", "described", "verifies"]

Vectors: TypeAlias = NDArray[np.float32]
Floats: TypeAlias = NDArray[np.float64]

TOP_K = 5
_REPORTED_EVERY = 32


@dataclass(frozen=True)
class Asked:
    """What a system said to every query, and (q,) milliseconds from search to verdict, each query asked alone."""

    answers: tuple[Answer, ...]
    milliseconds: Floats


class Contestant:
    """A recogniser with one pipeline, on the manifest's gallery and distractors. Use it in a `with`: it keeps local
    features in a temporary file.

    Args:
        manifest: with sha256.
        embedder: for the bundle's own background photos.
        known: vectors and local features of all photos.
        pipeline: what is between an embedding and a verdict.
        verifier: the one that the pipeline names, whose local features are known; None where nothing is verified.
    """

    def __init__(
        self,
        manifest: Manifest,
        embedder: Embedder,
        known: Embeddings,
        pipeline: Pipeline,
        verifier: Verifier | None = None,
    ) -> None:
        self._manifest = manifest
        self._known = known
        self._verifies = verifies(pipeline)
        self._dim = embedder.dim
        bundle = embedder.bundle
        self._recognizer = Recognizer(
            embedder.dim,
            bundle_sha256=bundle.sha256,
            background=Background.of(bundle),
            pipeline=pipeline,
            verifier=verifier,
        )
        self._recognizer.upsert(
            [self._item(number, photo) for number, photo in enumerate(manifest.gallery + manifest.distractors, 1)]
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._recognizer.features.close()

    def tune(self, far_budget: float) -> Tuning:
        """Choices, confidence and threshold: from the labelled calibration photos where there are some, else from what
        the gallery knows of itself. The result is returned, not set."""
        photos = self._manifest.calibrate
        labelled = None
        if photos:
            labelled = LabelledQueries(
                embeddings=self._known.of(photos, self._dim),
                labels=[photo.label for photo in photos],
                local=[self._known.features(photo) for photo in photos] if self._verifies else None,
            )
        return tune(self._recognizer, far_budget=far_budget, labelled=labelled)

    def threshold(self, tuning: Tuning, far_budget: float) -> float:
        """Where the threshold would stand for another budget, everything else as `tuning` has chosen it."""
        pipeline = self._recognizer.pipeline
        self._recognizer.pipeline = _settled(pipeline, tuning)  # what is chosen need not be measured again
        try:
            return self.tune(far_budget).calibration.threshold
        finally:
            self._recognizer.pipeline = pipeline

    def ask(self, tuning: Tuning, progress: Progress | None = None, what: str = "asking") -> Asked:
        """Put every query of the manifest, one at a time, as a server meets them."""
        self._recognizer.tuning = tuning
        queries = self._manifest.queries
        answers: list[Answer] = []
        milliseconds = np.zeros(len(queries))
        for at, photo in enumerate(queries):
            embedding = self._known.own[photo.sha256][None]
            local = [self._known.features(photo)] if self._verifies else None
            defect = self._known.defects.get(photo.sha256)
            started = time.perf_counter()
            [verdict] = self._recognizer.recognize(embedding, local=local, defects=[defect], top_k=TOP_K)
            milliseconds[at] = (time.perf_counter() - started) * 1000
            answers.append(_answer(verdict))
            if progress and ((at + 1) % _REPORTED_EVERY == 0 or at + 1 == len(queries)):
                progress(what, at + 1, len(queries))
        return Asked(tuple(answers), milliseconds)

    def _item(self, number: int, photo: Photo) -> Item:
        known, enrolled = self._known, photo.role == "gallery"
        none = np.empty((0, self._dim), np.float32)
        return Item(
            number=number,
            id=str(number - 1),  # the photo's position in the gallery, which an answer's evidence is given by
            label=photo.label if enrolled else None,
            embedding=known.own[photo.sha256],
            views=known.views.get(photo.sha256, none) if enrolled else none,
            local=known.local.get(photo.sha256, b"") if enrolled and self._verifies else b"",
        )


def _settled(pipeline: Pipeline, tuning: Tuning) -> Pipeline:
    """The pipeline with what it left to the gallery set to what the gallery chose."""
    chosen: dict[str, Switch] = {choice.part: "on" if choice.used else "off" for choice in tuning.body.choices}
    return pipeline.model_copy(
        update={
            "adaptation": pipeline.adaptation.model_copy(
                update={"wccn": chosen["adaptation"], "centring": chosen["centring"]}
            ),
            "ranking": tuning.body.ranking or pipeline.ranking,
            "verification": pipeline.verification.model_copy(update={"mode": chosen["verification"]}),
        }
    )


def verifies(pipeline: Pipeline) -> bool:
    """Whether a pipeline may look at local features, so that they must be extracted."""
    return pipeline.verification.mode != "off"


def ask_yardstick(manifest: Manifest, known: Embeddings, dim: int) -> Asked:
    """The same for the plain yardstick."""
    gallery = known.of(manifest.gallery, dim)
    labels = [photo.label for photo in manifest.gallery]
    answers: list[Answer] = []
    milliseconds = np.zeros(len(manifest.queries))
    for at, photo in enumerate(manifest.queries):
        query = known.own[photo.sha256][None]
        started = time.perf_counter()
        answers += yardstick.nearest_photo_answers(query, gallery, labels, top_k=TOP_K)
        milliseconds[at] = (time.perf_counter() - started) * 1000
    return Asked(tuple(answers), milliseconds)


def described(pipeline: Pipeline) -> str:
    """What a pipeline changes of the defaults, as a phrase."""
    settings: list[str] = []
    for part, changed in pipeline.model_dump(exclude_defaults=True).items():
        inside = changed.items() if isinstance(changed, dict) else ()
        settings += [f"{part}.{name} = {value}" for name, value in inside] or [f"{part} = {changed}"]
    return ", ".join(settings) or "the defaults"


def _answer(verdict: Verdict) -> Answer:
    best: Sequence[tuple[int, int | None]] = ()
    if verdict.candidates:
        best = [(int(item.id), item.inliers) for item in verdict.candidates[0].items]
    return Answer(
        verdict.verdict,
        tuple((candidate.label, candidate.confidence) for candidate in verdict.candidates),
        best[0][0] if best else None,
        verdict.reason,
        tuple(best),
    )
