"""The open-set protocol: enrol, tune, ask, score; for Whichone, for other configurations of it, and for the plain
yardstick.

manifest -> (embed once) -> for each configuration: gallery + distractors -> tuning -> verdicts -> figures
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from embedding.embedder import Embedder
from embedding.images import ImageLimits
from index.evaluation import yardstick
from index.evaluation.answers import Answers
from index.evaluation.configurations import OURS, YARDSTICK
from index.evaluation.contestant import Asked, Contestant, ask_yardstick, described, verifies
from index.evaluation.embeddings import Progress, embed_photos
from index.evaluation.intervals import paired_difference
from index.evaluation.kept import Embeddings
from index.evaluation.manifest import Manifest, ManifestInvalid, Photo, fingerprint
from index.evaluation.result import Evaluation, System
from index.evaluation.scoring import COMPARED, score
from index.evaluation.sweep import BudgetPoint, sweep
from index.pipeline import Pipeline
from index.simulation import MOST_VIEWED_ITEMS, VIEWS
from index.verification import RootSiftVerifier, Verifier, verifier_named

__all__ = ["evaluate", "read_label_groups"]

HOW = "label scores turned into a calibrated confidence, known from the threshold that keeps the FAR budget."


def evaluate(
    manifest: Manifest,
    embedder: Embedder,
    configurations: Mapping[str, Pipeline] | None = None,
    *,
    far_budget: float = 0.01,
    group_column: str = "",
    label_groups: Mapping[str, str] | None = None,
    limits: ImageLimits | None = None,
    cache: Path | None = None,
    bootstrap: int = 1000,
    budgets: Sequence[float] = (),
    verifiers: Callable[[str], Verifier] = verifier_named,
    progress: Progress | None = None,
) -> Evaluation:
    """Run the whole protocol.

    Args:
        manifest: as read; its files are hashed here.
        embedder: the model, used once a photo.
        configurations: other pipelines to compare with the defaults, by name. Each is tuned by itself.
        far_budget: the false-accept rate to set the threshold for.
        group_column: split the figures by this column of the queries' CSV, too.
        label_groups: the group of each label, where the queries' CSV does not have it.
        limits: on each photo, as the server has them; the defaults if None.
        cache: file that keeps embeddings and local features between runs.
        bootstrap: redraws for intervals and differences; 0 leaves them out.
        budgets: further false-accept budgets to read the first system at; each costs a tuning.
        verifiers: gives the verifier of a name that a pipeline has.
        progress: called as work goes on.

    Raises:
        LocalFeaturesMissing, LocalFeaturesInvalid: of `verifiers`.

        PhotosUnreadable, PhotosOverlap: see `fingerprint`.
        ManifestInvalid: no query has `group_column`.
    """
    groups = _groups(manifest.queries, group_column, label_groups) if group_column else {}
    manifest = fingerprint(manifest)
    pipelines = {OURS: Pipeline(), **(configurations or {})}
    opened = {name: verifiers(name) for name in _verifiers_of(pipelines.values())}
    known = _embed(manifest, embedder, opened.get("rootsift"), limits=limits, cache=cache, report=progress)
    known_by: dict[str, Embeddings] = {"rootsift": known}
    for name, verifier in opened.items():
        if name not in known_by:
            # A file for each: it holds features of one method.
            own_cache = cache and cache.with_name(f"{cache.stem}-{name}{cache.suffix}")
            known_by[name] = _embed(manifest, embedder, verifier, limits=limits, cache=own_cache, report=progress)
    scorer = _Scorer(manifest, groups, far_budget, bootstrap)
    systems: list[System] = []
    points: tuple[BudgetPoint, ...] = ()
    for name, pipeline in pipelines.items():
        used = pipeline.verification.verifier
        with Contestant(
            manifest, embedder, known_by.get(used, known), pipeline, opened.get(used) or RootSiftVerifier()
        ) as contestant:
            if progress:
                progress("configurations", len(systems), len(pipelines))
            tuning = contestant.tune(far_budget)
            asked = contestant.ask(tuning, progress, f"asking {name}")
            system = scorer.system(
                name, HOW if name == OURS else f"{described(pipeline)}.", asked, tuning.calibration.threshold
            )
            systems.append(replace(system, pipeline=pipeline, tuning=tuning.body.model_dump(mode="json")))
            if name == OURS:
                points = sweep(system.answers, budgets, partial(contestant.threshold, tuning), progress)
    asked = ask_yardstick(manifest, known, embedder.dim)
    systems.append(scorer.system(YARDSTICK, yardstick.HOW, asked, yardstick.THRESHOLD))
    return Evaluation(
        manifest=manifest,
        systems=(systems[0], *(_compared(system, systems[0]) for system in systems[1:])),
        bundle=embedder.bundle.id,
        bundle_sha256=embedder.bundle.sha256,
        precision=embedder.precision,
        far_budget=far_budget,
        calibration=systems[0].tuning["calibration"],
        group_column=group_column,
        sweep=points,
        own_photos=_own_photos(manifest, known, embedder.dim),
        local=known.local,
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


def _verifiers_of(pipelines: Iterable[Pipeline]) -> list[str]:
    """The verifiers of those that may verify, each once, in their order."""
    return list(dict.fromkeys(pipeline.verification.verifier for pipeline in pipelines if verifies(pipeline)))


def _embed(
    manifest: Manifest,
    embedder: Embedder,
    verifier: Verifier | None,
    *,
    limits: ImageLimits | None,
    cache: Path | None,
    report: Progress | None,
) -> Embeddings:
    viewed: list[Photo] = []
    if not manifest.calibrate:
        # A gallery asks itself about a label's other photos; only where there is none it needs simulated ones.
        photos_of = Counter(photo.label for photo in manifest.gallery)
        viewed = [photo for photo in manifest.gallery if photos_of[photo.label] == 1][:MOST_VIEWED_ITEMS]
    return embed_photos(
        manifest.photos,
        viewed,
        embedder,
        views=VIEWS,
        with_local=manifest.gallery + manifest.queries + manifest.calibrate if verifier else (),
        verifier=verifier,
        with_defects=manifest.queries,
        limits=limits,
        cache=cache,
        progress=report,
    )


def _compared(system: System, first: System) -> System:
    """The system with its differences to the first, on the same redraws of the queries."""
    mine, theirs = system.figures, first.figures
    differences = {
        key: paired_difference(mine[key].value, mine.redrawn[key], theirs[key].value, theirs.redrawn[key])
        for key in COMPARED
        if mine.redrawn
    }
    return replace(system, differences=differences)


def _own_photos(manifest: Manifest, known: Embeddings, dim: int) -> tuple[int | None, ...]:
    """For each query, where in the gallery the photo of its right label is that resembles it most."""
    gallery = known.of(manifest.gallery, dim)
    of_label: dict[str, list[int]] = {}
    for position, photo in enumerate(manifest.gallery):
        of_label.setdefault(photo.label, []).append(position)
    found: list[int | None] = []
    for photo in manifest.queries:
        own = [position for label in (photo.label, *photo.also) for position in of_label.get(label, ())]
        similarity = gallery[own] @ known.own[photo.sha256]
        found.append(own[int(np.argmax(similarity))] if own else None)
    return tuple(found)


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


@dataclass(frozen=True)
class _Scorer:
    """What the figures of every system have in common."""

    manifest: Manifest
    groups: Mapping[str, list[int]]
    far_budget: float
    bootstrap: int

    def system(self, name: str, how: str, asked: Asked, threshold: float) -> System:
        answers = Answers(self.manifest.queries, asked.answers, threshold)
        figures = score(answers, far_budget=self.far_budget, bootstrap=self.bootstrap)
        by_group = {
            value: score(answers.where(positions), far_budget=self.far_budget, bootstrap=0)
            for value, positions in self.groups.items()
        }
        return System(name, how, answers, figures, by_group, milliseconds=asked.milliseconds)
