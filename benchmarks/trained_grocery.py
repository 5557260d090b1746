"""What learning is worth on groceries: `python -m benchmarks.trained_grocery [--only adapt] [--photos 200]`

The shipped bundle, `whichone adapt`, and the recipe `laptop`, each on training photos of the known labels, none of the
unknown ones nor of the distractors'. Then:

- open set: the protocol of `openset_*.csv`, calibrated on validation queries, asked the test queries;
- closed set: the nearest training photo to each test photo, among labels that were learned from (seen) and among those
  that were not (unseen).
"""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from benchmarks.quality import OPEN_SET, TITLES, open_set, quality_cache
from embedding.bundle import Bundle
from embedding.embedder import Embedder
from index.evaluation.protocol import evaluate
from training.adapt.adapting import adapt_bundle
from training.export.checkpoint_bundle import Wanted, export_checkpoint
from training.recipe import load_recipe
from training.run.loop import train

GROUPS = {"seen": ("known",), "unseen": ("unknown", "distractor")}

FAR_BUDGET = 0.05


class Way(Enum):
    """Of learning; `shipped` learns nothing."""

    shipped = "shipped"
    adapt = "adapt"
    laptop = "laptop"


def main(
    only: Annotated[Way | None, typer.Option(help="One of them alone.")] = None,
    data: Annotated[Path, typer.Option(help="The grocery folder.")] = Path("../shared/data/grocery"),
    photos: Annotated[int, typer.Option(help="Learn from so many, drawn at random; 0 for all.")] = 0,
    out: Annotated[Path, typer.Option(help="Bundles and runs are left there.")] = Path("reports/trained-grocery"),
    threads: Annotated[int, typer.Option(help="Processor threads of torch.")] = 2,
) -> None:
    """Print the table as Markdown."""
    torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    keys = [*(TITLES[key] for key in OPEN_SET), "R@1 seen", "R@1 unseen", "minutes"]
    typer.echo(f"| bundle | {' | '.join(keys)} |")
    typer.echo("| --- " * (len(keys) + 1) + "|")
    with tempfile.TemporaryDirectory() as scratch:
        listing = _write_list(data, photos, Path(scratch) / "photos.csv")
        for way in [only] if only else Way:
            began = time.perf_counter()
            bundle = LEARN[way](listing, out)
            if bundle is None:
                typer.echo(f"| {way.value}: nothing better |")
            else:
                _print(way.value, bundle, data, f"{(time.perf_counter() - began) / 60:.1f}")


def _adapted(listing: Path, out: Path) -> Bundle | None:
    return adapt_bundle(listing, Bundle.open(), out / "adapted", cache=out / "adapt.npz").bundle


def _trained(listing: Path, out: Path) -> Bundle:
    run = out / "laptop-run"
    resumed = (run / "checkpoints").exists()
    result = train(load_recipe("laptop"), str(listing), run, device="cpu", resume=resumed)
    wanted = Wanted("laptop-grocery", "1", "Apache-2.0", photos=str(listing), half=True)
    return export_checkpoint(result.best, out / "laptop", wanted)


def _shipped(_listing: Path, _out: Path) -> Bundle:
    return Bundle.open()


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


def _print(name: str, bundle: Bundle, data: Path, minutes: str) -> None:
    embedder = Embedder(bundle)
    cache = quality_cache("grocery", embedder)
    run = evaluate(open_set(data, "labelled"), embedder, far_budget=FAR_BUDGET, bootstrap=0, cache=cache)
    figures = [run.ours.figures[key].value for key in OPEN_SET]
    figures += [_nearest(data, group, embedder) for group in GROUPS.values()]
    typer.echo(f"| {name} | {' | '.join(f'{figure:.3f}' for figure in figures)} | {minutes} |")


def _nearest(data: Path, groups: Sequence[str], embedder: Embedder) -> float:
    """Share of test photos of the groups' labels whose nearest training photo has their label."""
    labels = {row["label"] for row in _rows(data / "openset_classes.csv") if row["group"] in groups}
    train_rows, test_rows = (
        [row for row in _rows(data / name) if row["label"] in labels] for name in ("train.csv", "test.csv")
    )
    gallery, queries = (embedded(data, rows, embedder) for rows in (train_rows, test_rows))
    best = (queries @ gallery.T).argmax(axis=1)
    return float(np.mean([train_rows[at]["label"] == row["label"] for at, row in zip(best, test_rows, strict=True)]))


def embedded(data: Path, rows: Sequence[dict[str, str]], embedder: Embedder) -> np.ndarray:
    """Unit embeddings (n, d) of the photos that rows name by `path`, from the folder."""
    parts = [
        embedder.embed([embedder.decode((data / row["path"]).read_bytes()) for row in rows[at : at + 16]])
        for at in range(0, len(rows), 16)
    ]
    return np.concatenate(parts)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


LEARN: dict[Way, Callable[[Path, Path], Bundle | None]] = {
    Way.shipped: _shipped,
    Way.adapt: _adapted,
    Way.laptop: _trained,
}

if __name__ == "__main__":
    typer.run(main)
