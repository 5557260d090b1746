"""The open-set tables of docs/benchmarks.md: `python -m benchmarks.open_set [--data ../shared/data]`.

Test queries are for reporting only: nothing in the project was chosen by them. Calibration is `labelled` (on the
validation queries) or `gallery` (the gallery asks itself, as a server does).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from embedding.bundle import Bundle
from embedding.embedder import Embedder
from index.evaluation.manifest import load_parts
from index.evaluation.protocol import evaluate
from index.evaluation.result import Evaluation
from index.evaluation.scoring import Figure

SETS = ("grocery", "omniglot")
SHOWN = ("top_1", "gap", "auroc", "ece", "false_accepts", "accepted_right", "accepted_wrong")
COLUMNS = ("top-1", "GAP", "AUROC", "ECE", "false accepts", "accepted and right", "accepted and wrong")
HEADINGS = f"| set | calibration, budget | system | {' | '.join(COLUMNS)} |"


def main(
    data: Annotated[Path, typer.Option(help="Folder that holds grocery/ and omniglot/.")] = Path("../shared/data"),
) -> None:
    """Print the tables as Markdown."""
    embedder = Embedder(Bundle.open())
    typer.echo(HEADINGS)
    typer.echo("| --- " * 10 + "|")
    for name in SETS:
        folder = data / name
        if not folder.is_dir():
            typer.echo(f"{folder} is not there: {name} is left out", err=True)
            continue
        for source in ("labelled", "gallery"):
            for budget in (0.01, 0.05):
                _print_rows(name, source, budget, _evaluate(folder, embedder, source, budget))


def _evaluate(folder: Path, embedder: Embedder, source: str, budget: float) -> Evaluation:
    manifest = load_parts(
        gallery=folder / "openset_gallery.csv",
        queries=folder / "openset_queries_test.csv",
        calibrate=folder / "openset_queries_val.csv" if source == "labelled" else None,
        distractors=folder / "openset_distractors.csv",
    )
    with Console(stderr=True).status(f"{folder.name}, {source}, {budget:.0%}"):
        cache = Path("reports") / f"{folder.name}-{embedder.bundle.sha256[:12]}.npz"
        cache.parent.mkdir(exist_ok=True)
        return evaluate(manifest, embedder, far_budget=budget, cache=cache)


def _print_rows(name: str, source: str, budget: float, evaluation: Evaluation) -> None:
    for system in evaluation.systems:
        cells = (_cell(system.figures[key]) for key in SHOWN)
        typer.echo(f"| {name} | {source}, {budget:.0%} | {system.name} | {' | '.join(cells)} |")


def _cell(figure: Figure) -> str:
    if math.isnan(figure.low):
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


if __name__ == "__main__":
    typer.run(main)
