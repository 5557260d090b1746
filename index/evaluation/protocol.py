"""The open-set protocol: enrol, calibrate, ask, score; for Whichone and for the plain yardstick.

manifest -> (embed once) -> gallery + distractors -> calibration -> verdicts -> figures
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from embedding.embedder import Embedder
from embedding.images import ImageLimits
from index.background import Background
from index.calibration import Calibration
from index.evaluation import yardstick
from index.evaluation.embeddings import Embeddings, Progress, embed_photos
from index.evaluation.manifest import Manifest, ManifestInvalid, Photo, fingerprint
from index.evaluation.result import Evaluation, System
from index.evaluation.scoring import Answer, Answers, score
from index.items import Item
from index.recognizer import Recognizer
from index.simulation import MOST_VIEWED_ITEMS, VIEWS, LabelledQueries, calibrate
from index.verdict import Verdict

__all__ = ["evaluate", "read_label_groups"]

Vectors: TypeAlias = NDArray[np.float32]

TOP_K = 5
NAME = "Whichone"
HOW = "label scores turned into a calibrated confidence, known from the threshold that keeps the FAR budget."


def evaluate(
    manifest: Manifest,
    embedder: Embedder,
    *,
    far_budget: float = 0.01,
    group_column: str = "",
    label_groups: Mapping[str, str] | None = None,
    limits: ImageLimits | None = None,
    cache: Path | None = None,
    bootstrap: int = 1000,
    progress: Progress | None = None,
) -> Evaluation:
    """Run the whole protocol.

    Args:
        manifest: as read; its files are hashed here.
        embedder: the model, used once a photo.
        far_budget: the false-accept rate to set the threshold for.
        group_column: split the figures by this column of the queries' CSV, too.
        label_groups: the group of each label, where the queries' CSV does not have it.
        limits: on each photo, as the server has them; the defaults if None.
        cache: file that keeps embeddings between runs.
        bootstrap: redraws for intervals; 0 leaves them out.
        progress: called as work goes on.

    Raises:
        PhotosUnreadable, PhotosOverlap: see `fingerprint`.
        ManifestInvalid: no query has `group_column`.
    """
    groups = _groups(manifest.queries, group_column, label_groups) if group_column else {}
    manifest = fingerprint(manifest)
    vectors = _embed(manifest, embedder, limits, cache, progress)
    recognizer = _enrol(manifest, embedder, vectors)
    calibration = _calibrate(recognizer, manifest, vectors, far_budget)
    recognizer.calibration = calibration
    queries = vectors.of(manifest.queries, embedder.dim)
    asked = {
        (NAME, HOW): (_ask(recognizer, queries, progress), calibration.threshold),
        ("Yardstick (1-NN)", yardstick.HOW): (_yardstick(manifest, vectors, queries), yardstick.THRESHOLD),
    }
    systems = [
        _score(name, how, Answers(manifest.queries, tuple(answers), threshold), groups, (far_budget, bootstrap))
        for (name, how), (answers, threshold) in asked.items()
    ]
    return Evaluation(
        manifest=manifest,
        systems=tuple(systems),
        bundle=embedder.bundle.id,
        bundle_sha256=embedder.bundle.sha256,
        precision=embedder.precision,
        far_budget=far_budget,
        calibration=calibration.model_dump(mode="json"),
        group_column=group_column,
    )


def read_label_groups(path: Path, column: str) -> dict[str, str]:
    """The value of `column` for each label, from any CSV that has both columns.

    Raises:
        ManifestInvalid: no such file, or no such column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            absent = [name for name in ("label", column) if name not in (reader.fieldnames or [])]
            if absent:
                came = ",".join(reader.fieldnames or []) or "nothing"
                raise ManifestInvalid(f"{path}, line 1: no column {absent[0]!r}; came {came}", file=str(path), line=1)
            return {row["label"]: row[column] or "" for row in reader}
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestInvalid(f"{path}: cannot be read as a UTF-8 CSV: {error}", file=str(path)) from error


# ---------------------------------------------------------------- the steps


def _embed(
    manifest: Manifest,
    embedder: Embedder,
    limits: ImageLimits | None,
    cache: Path | None,
    progress: Progress | None,
) -> Embeddings:
    viewed: list[Photo] = []
    if not manifest.calibrate:
        # A gallery asks itself about a label's other photos; only where there is none it needs simulated ones.
        photos_of = Counter(photo.label for photo in manifest.gallery)
        viewed = [photo for photo in manifest.gallery if photos_of[photo.label] == 1][:MOST_VIEWED_ITEMS]
    return embed_photos(manifest.photos, viewed, embedder, views=VIEWS, limits=limits, cache=cache, progress=progress)


def _enrol(manifest: Manifest, embedder: Embedder, vectors: Embeddings) -> Recognizer:
    bundle = embedder.bundle
    background = Background.of(bundle)
    recognizer = Recognizer(embedder.dim, bundle_sha256=bundle.sha256, background=background)
    no_views = np.empty((0, embedder.dim), np.float32)
    recognizer.upsert(
        [
            Item(
                number=position + 1,
                id=str(position),
                label=photo.label if photo.role == "gallery" else None,
                embedding=vectors.own[photo.sha256],
                views=vectors.views.get(photo.sha256, no_views) if photo.role == "gallery" else no_views,
            )
            for position, photo in enumerate(manifest.gallery + manifest.distractors)
        ]
    )
    return recognizer


def _calibrate(recognizer: Recognizer, manifest: Manifest, vectors: Embeddings, far_budget: float) -> Calibration:
    """With the labelled queries where there are some, else from what the gallery knows of itself."""
    labelled = None
    if manifest.calibrate:
        labelled = LabelledQueries(
            embeddings=np.stack([vectors.own[photo.sha256] for photo in manifest.calibrate]),
            labels=[photo.label for photo in manifest.calibrate],
        )
    return calibrate(recognizer, far_budget=far_budget, labelled=labelled)


def _ask(recognizer: Recognizer, queries: Vectors, progress: Progress | None) -> list[Answer]:
    answers: list[Answer] = []
    for start in range(0, len(queries), 64):
        answers += map(_answer, recognizer.recognize(queries[start : start + 64], top_k=TOP_K))
        if progress:
            progress("asking", len(answers), len(queries))
    return answers


def _answer(verdict: Verdict) -> Answer:
    best = verdict.candidates[0] if verdict.candidates else None
    return Answer(
        verdict.verdict,
        tuple((candidate.label, candidate.confidence) for candidate in verdict.candidates),
        int(best.items[0].id) if best and best.items else None,
        verdict.reason,
    )


def _yardstick(manifest: Manifest, vectors: Embeddings, queries: Vectors) -> list[Answer]:
    gallery = vectors.of(manifest.gallery, queries.shape[1])
    labels = [photo.label for photo in manifest.gallery]
    return yardstick.nearest_photo_answers(queries, gallery, labels, top_k=TOP_K)


def _groups(queries: Sequence[Photo], column: str, label_groups: Mapping[str, str] | None) -> dict[str, list[int]]:
    """Positions of the queries of each value of the column."""
    groups: dict[str, list[int]] = {}
    for position, photo in enumerate(queries):
        value = photo.groups.get(column, (label_groups or {}).get(photo.label))
        if value is not None:
            groups.setdefault(value, []).append(position)
    if not groups:
        columns = sorted({name for photo in queries for name in photo.groups})
        raise ManifestInvalid(
            f"no query has a column {column!r} to split by; the queries' CSV has "
            f"{', '.join(columns) or 'no further columns'}; a CSV of label,{column} would do, too",
            column=column,
        )
    return dict(sorted(groups.items()))


def _score(
    name: str, how: str, answers: Answers, groups: Mapping[str, list[int]], settings: tuple[float, int]
) -> System:
    far_budget, bootstrap = settings
    figures = score(answers, far_budget=far_budget, bootstrap=bootstrap)
    by_group = {
        value: score(answers.where(positions), far_budget=far_budget, bootstrap=0)
        for value, positions in groups.items()
    }
    return System(name, how, answers, figures, by_group)
