"""What `whichone adapt` is worth on groceries: `python -m benchmarks.adapt_grocery [--photos 200]`

The shipped bundle is adapted to training photos of the known labels, none of the unknown ones nor of the distractors'.
Both bundles then meet the open-set protocol: calibrated on validation queries, asked the test queries.
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.quality import OPEN_SET, TITLES
from embedding.bundle import Bundle
from embedding.embedder import Embedder
from index.evaluation.manifest import load_parts
from index.evaluation.protocol import evaluate
from training.adapt.adapting import adapt_bundle


def main(
    data: Annotated[Path, typer.Option(help="The grocery folder.")] = Path("../shared/data/grocery"),
    photos: Annotated[int, typer.Option(help="Adapt to so many, drawn at random; 0 for all.")] = 0,
    far_budget: Annotated[float, typer.Option(help="False-accept budget.")] = 0.05,
) -> None:
    """Print the table as Markdown."""
    with tempfile.TemporaryDirectory() as scratch:
        listing = _write_list(data, photos, Path(scratch) / "photos.csv")
        adapted = adapt_bundle(
            listing, Bundle.open(), Path(scratch) / "bundle", cache=Path("reports/adapt-grocery.npz")
        )
        chosen = adapted.chosen.candidate.name if adapted.chosen else "nothing better"
        typer.echo(f"learned from {adapted.photos} photos of {adapted.labels} labels: {chosen}\n")
        typer.echo(f"| bundle | {' | '.join(TITLES[key] for key in OPEN_SET)} |")
        typer.echo("| --- " * (len(OPEN_SET) + 1) + "|")
        for name, bundle in (("as shipped", Bundle.open()), ("adapted", adapted.bundle)):
            if bundle is not None:
                _print(name, bundle, data, far_budget)


def _write_list(data: Path, most: int, path: Path) -> Path:
    known = {row["label"] for row in _rows(data / "openset_classes.csv") if row["group"] == "known"}
    rows = [row for row in _rows(data / "train.csv") if row["label"] in known]
    if most:
        chosen = np.random.default_rng(0).choice(len(rows), most, replace=False)
        rows = [rows[at] for at in sorted(chosen)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label"))
        writer.writerows((str((data / row["path"]).resolve()), row["label"]) for row in rows)
    return path


def _print(name: str, bundle: Bundle, data: Path, far_budget: float) -> None:
    manifest = load_parts(
        gallery=data / "openset_gallery.csv",
        queries=data / "openset_queries_test.csv",
        calibrate=data / "openset_queries_val.csv",
        distractors=data / "openset_distractors.csv",
    )
    run = evaluate(manifest, Embedder(bundle), far_budget=far_budget, bootstrap=0)
    typer.echo(f"| {name} | {' | '.join(f'{run.ours.figures[key].value:.3f}' for key in OPEN_SET)} |")


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    typer.run(main)
