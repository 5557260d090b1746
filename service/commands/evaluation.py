"""`whichone evaluate`: read the manifest, run the protocol, show the table, write JSON and report."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.table import Table

from embedding.bundle import Bundle
from embedding.embedder import Embedder
from embedding.errors import InputError
from embedding.images import ImageLimits
from index.evaluation.configurations import gather_configurations
from index.evaluation.datasets import official_figures, reader_named
from index.evaluation.manifest import Manifest, load_manifest, load_parts
from index.evaluation.protocol import evaluate, read_label_groups
from index.evaluation.report import require_report_extra, write_json, write_plots, write_report
from index.evaluation.result import Evaluation, Official, System, shown
from index.evaluation.scoring import COMPARED, METRICS, Metric
from index.evaluation.sweep import BUDGETS
from index.evaluation.wording import format_cost, format_difference, format_figure
from index.verification import verifier_named
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
        plots: folder for the report's plots as PNG files; None for none.
        compare: JSON files of pipelines to compare with the defaults.
        official: name of the public set whose official figures are wanted; empty for none.
    """

    manifest: Path | None = None
    gallery: Path | None = None
    queries: Path | None = None
    calibrate: Path | None = None
    distractors: Path | None = None
    labels_csv: Path | None = None
    report: Path | None = None
    cache: Path | None = None
    plots: Path | None = None
    compare: tuple[Path, ...] = ()
    official: str = ""


def run_evaluation(
    files: EvaluationFiles, settings: Settings, *, far_budget: float, group_column: str, ablation: bool, as_json: bool
) -> Evaluation:
    """See the module. What is wrong with the files is said before the model is opened.

    Raises:
        WhichoneError: see `index.evaluation`.
    """
    if files.report or files.plots:
        require_report_extra()
    reader = reader_named(files.official) if files.official else None
    configurations = gather_configurations(files.compare, with_ablation=ablation)
    manifest = _manifest(files)
    label_groups = read_label_groups(files.labels_csv, group_column) if files.labels_csv and group_column else None
    embedder = Embedder(Bundle.open(settings.bundle), device=settings.device, threads=settings.threads)
    with progress_bar() as progress:
        evaluation = evaluate(
            manifest,
            embedder,
            configurations,
            far_budget=far_budget,
            group_column=group_column,
            label_groups=label_groups,
            limits=ImageLimits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_pixels),
            cache=files.cache,
            budgets=BUDGETS if files.report or files.plots else (),
            verifiers=partial(
                verifier_named, folder=settings.local_features, device=settings.device, threads=settings.threads
            ),
            progress=progress,
        )
    if reader:
        evaluation = replace(evaluation, official=official_figures(reader, evaluation))
    if files.report:
        write_report(evaluation, files.report)
        write_json(evaluation, files.report.with_suffix(".json"))
        if reader and reader.submission:
            submission = files.report.with_name(f"{files.report.stem}-submission.csv")
            _write_rows(submission, reader.submission(evaluation.ours.answers))
            note(f"submission: {submission}")
    plots = write_plots(evaluation, files.plots) if files.plots else []
    if as_json:
        print_json(evaluation.to_json())
    else:
        _print_tables(evaluation)
    if files.report:
        note(f"report: {files.report} (figures and every query: {files.report.with_suffix('.json')})")
    if plots:
        note(f"plots: {', '.join(path.name for path in plots)} in {files.plots}")
    return evaluation


def _write_rows(path: Path, rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


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
    systems = shown(evaluation)
    table = Table("figure", *(system.name for system in systems))
    for metric in METRICS:
        cells = [format_figure(system.figures[metric.key], metric) for system in systems]
        table.add_row(metric.title, *cells)
    table.add_row("median time from search to verdict", *(format_cost(system) for system in systems))
    console.print(table)
    if evaluation.official:
        _print_official(evaluation.official)
    if len(evaluation.systems) > 1:
        _print_comparison(evaluation)
    for value in evaluation.ours.groups:
        _print_group(evaluation, value)


def _print_official(official: Official) -> None:
    names = list(next(iter(official.figures.values())))
    table = Table("system", *names, title=f"{official.title}: {official.metric}", title_justify="left")
    for system, figures in official.figures.items():
        table.add_row(system, *(f"{value:.4f}" for value in figures.values()))
    stdout().print(table)


def _print_comparison(evaluation: Evaluation) -> None:
    """A row a system: its figures, and the difference to the first where one was seen."""
    compared = [metric for metric in METRICS if metric.key in COMPARED]
    table = Table(
        "system",
        *(metric.title for metric in compared),
        "a query",
        title=f"difference to {evaluation.ours.name} on the same queries, 95 % interval; = where it holds 0",
        title_justify="left",
        show_lines=True,
    )
    for system in evaluation.systems:
        cells = []
        for metric in compared:
            value = format_figure(system.figures[metric.key], metric, interval=False)
            cells.append("\n".join(filter(None, (value, _difference(system, metric)))))
        table.add_row(system.name, *cells, format_cost(system))
    stdout().print(table)


def _difference(system: System, metric: Metric) -> str:
    if metric.key not in system.differences:
        return ""
    difference = system.differences[metric.key]
    reading = difference.reading(higher_is_better=metric.higher_is_better)
    if reading == "no difference seen":
        return "="
    colour = "green" if reading == "better" else "red"
    return f"[{colour}]{format_difference(difference, metric)}[/{colour}]"


def _print_group(evaluation: Evaluation, value: str) -> None:
    figures = evaluation.ours.groups[value]
    systems = shown(evaluation)
    title = f"{evaluation.group_column} = {value or '(empty)'}: {figures.n_known} known, {figures.n_unknown} unknown"
    table = Table("figure", *(system.name for system in systems), title=title, title_justify="left")
    for metric in METRICS:
        cells = [format_figure(system.groups[value][metric.key], metric) for system in systems]
        table.add_row(metric.title, *cells)
    stdout().print(table)
