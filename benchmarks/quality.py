"""The tables of docs/quality.md: `python -m benchmarks.quality [--data ../shared/data] [--bootstrap 1000]`.

Three tasks on photos that nothing was chosen by (the test files), each with every part of the pipeline left out in
turn:

- open set: `openset_*.csv` of both folders, calibrated on validation queries (`labelled`) or by itself (`gallery`),
  and, as an operator could, told how many of the questions are about strangers (a quarter);
- five photos: all 81 grocery labels, five training photos each, all test photos, all of them known;
- one picture: all 81 grocery labels, the clean product picture of each, all test photos. The gallery calibrates itself
  or, as whoever collects feedback could, on validation photos (`labelled`).
"""

from __future__ import annotations

import csv
import math
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Annotated

import typer

from embedding.bundle import Bundle
from embedding.embedder import Embedder
from index.evaluation.configurations import ablation
from index.evaluation.manifest import Manifest, load_parts
from index.evaluation.protocol import evaluate
from index.evaluation.result import Evaluation, System
from index.evaluation.scoring import Figure
from index.pipeline import Pipeline

OPEN_SET = ("top_1", "gap", "auroc", "ece", "false_accepts", "accepted_right")
CLOSED = ("top_1", "accepted_right", "accepted_wrong")
TITLES = {
    "top_1": "top-1",
    "gap": "GAP",
    "auroc": "AUROC",
    "ece": "ECE",
    "false_accepts": "false accepts",
    "accepted_right": "accepted and right",
    "accepted_wrong": "accepted and wrong",
}
TOLD = "told that a quarter are strangers"
KEPT = tuple(name for name in ablation() if name != "all parts on")


def main(
    data: Annotated[Path, typer.Option(help="Folder that holds grocery/ and omniglot/.")] = Path("../shared/data"),
    bootstrap: Annotated[int, typer.Option(help="Redraws for the intervals.")] = 1000,
    only: Annotated[str, typer.Option(help="Part of a task's name: run the tasks that have it.")] = "",
    ablate: Annotated[bool, typer.Option(help="Also leave out each part in turn.")] = True,
) -> None:
    """Print the tables as Markdown."""
    embedder = Embedder(Bundle.open())
    caches = {name: quality_cache(name, embedder) for name in ("grocery", "omniglot")}
    tasks = [(f"{name}, open set", name) for name in ("grocery", "omniglot")]
    for title, name in tasks:
        for source in ("labelled", "gallery"):
            for budget in (0.01, 0.05):
                if only not in f"{title}, {source}, {budget:.0%}":
                    continue
                manifest = open_set(data / name, source)
                parts = {TOLD: Pipeline(unknown_share=0.25)} if budget == 0.05 else {}
                if ablate and budget == 0.05:
                    parts |= {key: value for key, value in ablation().items() if key in KEPT}
                run = evaluate(manifest, embedder, parts, far_budget=budget, cache=caches[name], bootstrap=bootstrap)
                _print(f"{title}, {source}, {budget:.0%}", run, OPEN_SET)
    for title, manifest in (
        ("grocery, five photos", _five_photos(data / "grocery")),
        ("grocery, one picture", _one_picture(data / "grocery", labelled=False)),
        ("grocery, one picture, labelled", _one_picture(data / "grocery", labelled=True)),
    ):
        if only in title:
            parts = {key: value for key, value in ablation().items() if key in KEPT} if ablate else {}
            run = evaluate(
                manifest,
                embedder,
                parts,
                group_column="is_package",
                far_budget=0.05,
                cache=caches["grocery"],
                bootstrap=bootstrap,
            )
            _print(title, run, CLOSED, groups=True)


def quality_cache(name: str, embedder: Embedder) -> Path:
    """Where what was computed of a set's photos is kept between runs."""
    Path("reports").mkdir(exist_ok=True)
    return Path("reports") / f"quality-{name}-{embedder.bundle.sha256[:12]}.npz"


def open_set(folder: Path, source: str) -> Manifest:
    """The open-set protocol of a folder, asked test queries; `labelled`: calibrated on validation queries."""
    return load_parts(
        gallery=folder / "openset_gallery.csv",
        queries=folder / "openset_queries_test.csv",
        calibrate=folder / "openset_queries_val.csv" if source == "labelled" else None,
        distractors=folder / "openset_distractors.csv",
    )


def _five_photos(folder: Path) -> Manifest:
    """The first five training photos of each label, in the order of their names."""
    photos: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in sorted(_rows(folder / "train.csv"), key=lambda row: row["path"]):
        photos[row["label"]].append(row)
    return _manifest(folder, [row for label in sorted(photos) for row in photos[label][:5]], labelled=False)


def _one_picture(folder: Path, *, labelled: bool) -> Manifest:
    return _manifest(folder, _rows(folder / "iconic.csv"), labelled=labelled)


def _manifest(folder: Path, gallery: list[dict[str, str]], *, labelled: bool) -> Manifest:
    """All test photos asked of `gallery`."""
    with tempfile.TemporaryDirectory() as scratch:
        parts = {name: Path(scratch) / f"{name}.csv" for name in ("gallery", "queries", "calibrate")}
        for name, rows in (
            ("gallery", gallery),
            ("queries", _rows(folder / "test.csv")),
            ("calibrate", _rows(folder / "val.csv")),
        ):
            with parts[name].open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(("path", "label", "is_known", "is_package"))
                writer.writerows((str((folder / r["path"]).resolve()), r["label"], 1, r["is_package"]) for r in rows)
        return load_parts(
            gallery=parts["gallery"],
            queries=parts["queries"],
            calibrate=parts["calibrate"] if labelled else None,
            distractors=None,
        )


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _print(title: str, run: Evaluation, keys: tuple[str, ...], *, groups: bool = False) -> None:
    typer.echo(f"\n### {title}\n")
    values = [f"{run.group_column} = {value}" for value in run.ours.groups] if groups else []
    typer.echo(f"| system | {' | '.join([*(TITLES[key] for key in keys), *(f'top-1, {v}' for v in values), 'ms'])} |")
    typer.echo("| --- " * (len(keys) + len(values) + 2) + "|")
    for system in run.systems:
        cells = [_cell(system.figures[key]) for key in keys]
        cells += [_cell(figures["top_1"]) for figures in system.groups.values()] if groups else []
        typer.echo(f"| {system.name} | {' | '.join(cells)} | {system.cost_ms:.1f} |")
    typer.echo(f"\n{_learned(run.ours)}")


def _learned(system: System) -> str:
    choices = (system.tuning or {}).get("choices", [])
    return "Whichone's own choice: " + "; ".join(
        f"{choice['part']} {'on' if choice['used'] else 'off'} ({choice['why']})" for choice in choices
    )


def _cell(figure: Figure) -> str:
    if math.isnan(figure.low):
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


if __name__ == "__main__":
    typer.run(main)
