"""`whichone evaluate`: read the manifest, run the protocol, show the table, write JSON and report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from embedding.bundle import Bundle
from embedding.embedder import Embedder
from embedding.errors import InputError
from embedding.images import ImageLimits
from index.evaluation.manifest import Manifest, load_manifest, load_parts
from index.evaluation.protocol import evaluate, read_label_groups
from index.evaluation.report import format_figure, require_report_extra, write_json, write_report
from index.evaluation.result import Evaluation
from index.evaluation.scoring import METRICS
from service.commands.terminal import note, print_json, progress_bar, stdout
from service.settings import Settings

__all__ = ["EvaluationFiles", "run_evaluation"]


@dataclass(frozen=True)
class EvaluationFiles:
    """What is read and written. Either `manifest`, or `gallery` and `queries`.

    Attributes:
        labels_csv: a CSV with label and the column to split by, where the queries' own lack it.
        report: the HTML to write; None for none. The JSON lies beside it.
        cache: where embeddings are kept between runs.
    """

    manifest: Path | None = None
    gallery: Path | None = None
    queries: Path | None = None
    calibrate: Path | None = None
    distractors: Path | None = None
    labels_csv: Path | None = None
    report: Path | None = None
    cache: Path | None = None


def run_evaluation(
    files: EvaluationFiles, settings: Settings, *, far_budget: float, group_column: str, as_json: bool
) -> Evaluation:
    """See the module. What is wrong with the files is said before the model is opened.

    Raises:
        WhichoneError: see `index.evaluation`.
    """
    if files.report:
        require_report_extra()
    manifest = _manifest(files)
    label_groups = read_label_groups(files.labels_csv, group_column) if files.labels_csv and group_column else None
    embedder = Embedder(Bundle.open(settings.bundle), device=settings.device, threads=settings.threads)
    with progress_bar() as progress:
        evaluation = evaluate(
            manifest,
            embedder,
            far_budget=far_budget,
            group_column=group_column,
            label_groups=label_groups,
            limits=ImageLimits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_pixels),
            cache=files.cache,
            progress=progress,
        )
    if files.report:
        write_report(evaluation, files.report)
        write_json(evaluation, files.report.with_suffix(".json"))
    if as_json:
        print_json(evaluation.to_json())
    else:
        _print_tables(evaluation)
    if files.report:
        note(f"report: {files.report} (figures and every query: {files.report.with_suffix('.json')})")
    return evaluation


def _manifest(files: EvaluationFiles) -> Manifest:
    parts = (files.gallery, files.queries, files.calibrate, files.distractors)
    if files.manifest and not any(parts):
        return load_manifest(files.manifest)
    if files.gallery and files.queries and not files.manifest:
        return load_parts(files.gallery, files.queries, files.calibrate, files.distractors)
    raise InputError(
        "evaluate takes either one MANIFEST.csv (path,label,is_known,role) or --gallery and --queries "
        "(with --calibrate and --distractors if there are such); see whichone evaluate --help"
    )


def _print_tables(evaluation: Evaluation) -> None:
    counts = evaluation.counts()
    console = stdout()
    console.print(
        f"{counts['labels']} labels, {counts['gallery']} gallery photos, {counts['distractors']} distractors, "
        f"{counts['calibrate']} calibration photos; asked: {counts['queries_known']} known, "
        f"{counts['queries_unknown']} unknown. Bundle {evaluation.bundle} ({evaluation.precision})."
    )
    table = Table("figure", *(system.name for system in evaluation.systems))
    for metric in METRICS:
        cells = [format_figure(system.figures[metric.key], metric) for system in evaluation.systems]
        table.add_row(metric.title, *cells)
    console.print(table)
    for value in evaluation.ours.groups:
        _print_group(evaluation, value)


def _print_group(evaluation: Evaluation, value: str) -> None:
    figures = evaluation.ours.groups[value]
    title = f"{evaluation.group_column} = {value or '(empty)'}: {figures.n_known} known, {figures.n_unknown} unknown"
    table = Table("figure", *(system.name for system in evaluation.systems), title=title, title_justify="left")
    for metric in METRICS:
        cells = [format_figure(system.groups[value][metric.key], metric) for system in evaluation.systems]
        table.add_row(metric.title, *cells)
    stdout().print(table)
