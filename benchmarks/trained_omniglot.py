"""Drawn characters from scratch: `python -m benchmarks.trained_omniglot [--seeds 2] [--threads 1]`

The recipe `omniglot` on the gallery's drawings of known characters (5 each) and the distractors' (20 each), none of the
unknown characters: trained, exported as a bundle, and asked the open-set test queries after a calibration on validation
queries, as the service would be. Two seeds are also joined as one bundle. R@1 is among all drawings of the unknown
characters (20 each). What the bundle that ships makes of drawings: `benchmarks.quality`.
"""

from __future__ import annotations

import csv
import tempfile
import time
from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.quality import OPEN_SET, TITLES, open_set, quality_cache
from benchmarks.trained_grocery import FAR_BUDGET, embedded
from benchmarks.training_omniglot import write_training_list
from embedding.bundle import Bundle
from embedding.embedder import Embedder
from index.evaluation.protocol import evaluate
from index.evaluation.retrieval import recall_at
from training.export.checkpoint_bundle import Wanted, export_checkpoint
from training.export.ensemble_bundle import Joining, join_bundles
from training.recipe import load_recipe, parse_recipe
from training.run.loop import train


def main(
    data: Annotated[Path, typer.Option(help="The omniglot folder.")] = Path("../shared/data/omniglot"),
    seeds: Annotated[int, typer.Option(help="Runs; two or more are joined as well.")] = 1,
    out: Annotated[Path, typer.Option(help="Bundles and runs are left there.")] = Path("reports/trained-omniglot"),
    threads: Annotated[int, typer.Option(help="Processor threads of torch.")] = 2,
) -> None:
    """Print the table as Markdown."""
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    keys = [*(TITLES[key] for key in OPEN_SET), "R@1 unseen", "minutes", "processor minutes"]
    typer.echo(f"| bundle | {' | '.join(keys)} |")
    typer.echo("| --- " * (len(keys) + 1) + "|")
    folders = []
    with tempfile.TemporaryDirectory() as scratch:
        photos = write_training_list(data, Path(scratch) / "photos.csv")
        for seed in range(seeds):
            wall, processor = time.perf_counter(), time.process_time()
            folders.append(_trained(photos, data / "openset_distractors.csv", seed, out))
            minutes = ((time.perf_counter() - wall) / 60, (time.process_time() - processor) / 60)
            bundle = Bundle.open(folders[-1])
            _print(f"omniglot, seed {seed}", bundle, data, f"| {minutes[0]:.1f} | {minutes[1]:.1f} |")
        if seeds > 1:
            wanted = Joining("omniglot-joined", "1", photos=str(photos))
            _print("joined", join_bundles(folders, out / "joined", wanted), data, "| |")


def _trained(photos: Path, distractors: Path, seed: int, out: Path) -> Path:
    """The folder of a bundle."""
    document = load_recipe("omniglot").model_dump(mode="json") | {"seed": seed}
    document["data"]["split"] = {"kind": "none"}
    run = out / f"run-{seed}"
    resumed = (run / "checkpoints").exists()
    result = train(parse_recipe(document, "omniglot"), str(photos), run, device="cpu", resume=resumed)
    folder = out / f"bundle-{seed}"
    wanted = Wanted("omniglot", f"seed-{seed}", "Apache-2.0", photos=str(photos), distractors=str(distractors))
    export_checkpoint(result.last, folder, wanted)
    return folder


def _print(name: str, bundle: Bundle, data: Path, minutes: str) -> None:
    embedder = Embedder(bundle)
    cache = quality_cache("omniglot", embedder)
    run = evaluate(open_set(data, "labelled"), embedder, far_budget=FAR_BUDGET, bootstrap=0, cache=cache)
    figures = [run.ours.figures[key].value for key in OPEN_SET] + [_unseen(data, embedder)]
    typer.echo(f"| {name} | {' | '.join(f'{figure:.3f}' for figure in figures)} {minutes}")


def _unseen(data: Path, embedder: Embedder) -> float:
    """R@1 among all drawings of the unknown characters."""
    with (data / "openset_classes.csv").open(newline="", encoding="utf-8") as file:
        unknown = {row["label"] for row in csv.DictReader(file) if row["group"] == "unknown"}
    with (data / "omniglot.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] in unknown]
    return recall_at(embedded(data, rows, embedder), [row["label"] for row in rows], [1])[1]


if __name__ == "__main__":
    typer.run(main)
