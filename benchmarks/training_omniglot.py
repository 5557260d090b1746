"""Characters never seen in training: losses and poolings side by side.

`python -m benchmarks.training_omniglot [--seeds 3] [--epochs 24] [--data ../shared/data/omniglot]`

The recipe `omniglot`, without turned drawings, with ArcFace, cross-entropy and batch-hard triplets, each with average
pooling and GeM, from scratch on a CPU: trained on the gallery's drawings of known characters (5 each) and on the
distractors' (20 each), the last epoch taken, judged by R@1 among all drawings of the unknown characters (20 each), of
which none was seen.
"""

from __future__ import annotations

import csv
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from embedding.images import decode
from embedding.preprocess import PreprocessSpec, preprocess
from index.evaluation.retrieval import recall_at
from training.recipe import Recipe, load_recipe, parse_recipe
from training.run.loop import train
from training.run.trained import load_trained

OBJECTIVES: dict[str, dict[str, Any]] = {
    "ArcFace": {"loss": {"kind": "arcface", "scale": 30, "margin": 0.3, "class_weights": "none"}},
    "cross-entropy": {"loss": {"kind": "cross_entropy"}},
    "triplet": {"loss": {"kind": "triplet", "margin": "soft"}},
}
POOLINGS: dict[str, dict[str, Any]] = {"average": {"kind": "average"}, "GeM": {"kind": "gem", "p": 3.0}}


def main(
    *,
    data: Annotated[Path, typer.Option(help="The omniglot folder.")] = Path("../shared/data/omniglot"),
    seeds: Annotated[int, typer.Option(help="Runs of each.")] = 3,
    epochs: Annotated[int, typer.Option(help="Of each run.")] = 24,
    threads: Annotated[int, typer.Option(help="Processor threads.")] = 2,
    only: Annotated[str, typer.Option(help="Part of a loss's name.")] = "",
    json_out: Annotated[Path | None, typer.Option("--json", help="Write the rows there, too.")] = None,
) -> None:
    """Print the table as Markdown."""
    torch.set_num_threads(threads)
    rows = []
    typer.echo("| loss | pooling | R@1 on unseen characters, mean | lowest | highest | minutes a run |")
    typer.echo("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        photos = write_training_list(data, Path(scratch) / "photos.csv")
        for loss in (name for name in OBJECTIVES if only in name):
            for pooling in POOLINGS:
                runs = [
                    _run(
                        recipe_of(loss, pooling, seed, epochs), photos, Path(scratch) / f"{loss}-{pooling}-{seed}", data
                    )
                    for seed in range(seeds)
                ]
                recalls, minutes = np.array([run[0] for run in runs]), np.array([run[1] for run in runs])
                rows.append(
                    {"loss": loss, "pooling": pooling, "recall_1": recalls.tolist(), "minutes": minutes.tolist()}
                )
                typer.echo(
                    f"| {loss} | {pooling} | {recalls.mean():.3f} | {recalls.min():.3f} | {recalls.max():.3f} "
                    f"| {minutes.mean():.1f} |"
                )
    if json_out is not None:
        json_out.write_text(json.dumps({"rows": rows}), encoding="utf-8")


def recipe_of(loss: str, pooling: str, seed: int, epochs: int) -> Recipe:
    """The recipe that ships with another loss and pooling, each drawing one way up; the last epoch is the result."""
    document = load_recipe("omniglot").model_dump(mode="json")
    document["seed"] = seed
    document["network"]["pooling"] = POOLINGS[pooling]
    document["data"] |= {"split": {"kind": "none"}, "new_labels": []}
    [stage] = document["stages"]
    stage |= {"name": "only", "epochs": epochs, "objective": {"terms": [OBJECTIVES[loss]]}}
    if loss == "cross-entropy":
        document["network"]["classifier"] = {"kind": "linear"}
    if loss == "triplet":
        # 16 labels in a batch, to find hard ones among. An epoch is 32 steps, for the others 50: twice the epochs make
        # a few more steps, and 2.5 times the drawings.
        stage |= {"sampler": {"kind": "per_label", "photos": 4}, "epochs": 2 * epochs, "batch": 64}
    return parse_recipe(document, f"omniglot with {loss} and {pooling}")


def write_training_list(data: Path, path: Path) -> Path:
    """Known characters as enrolled, and the distractors; no query of any kind."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label"))
        for name in ("openset_gallery.csv", "openset_distractors.csv"):
            writer.writerows((str((data / row["path"]).resolve()), row["label"]) for row in _rows(data / name))
    return path


def _run(recipe: Recipe, photos: Path, out: Path, data: Path) -> tuple[float, float]:
    """R@1 and minutes."""
    started = time.perf_counter()
    result = train(recipe, str(photos), out, device="cpu")
    minutes = (time.perf_counter() - started) / 60
    return unseen_recall(result.last, data), minutes


def unseen_recall(checkpoint: Path, data: Path) -> float:
    """R@1 of a checkpoint among all drawings of the unknown characters."""
    trained = load_trained(checkpoint)
    return recall_of(trained.embedder(), trained.preprocess, data)


def recall_of(embedder: Callable[[torch.Tensor], torch.Tensor], spec: PreprocessSpec, data: Path) -> float:
    """R@1 among all drawings of the unknown characters, by unit embeddings (n, d) of preprocessed ones."""
    unknown = {row["label"] for row in _rows(data / "openset_classes.csv") if row["group"] == "unknown"}
    rows = [row for row in _rows(data / "omniglot.csv") if row["label"] in unknown]
    drawings = [preprocess(decode((data / row["path"]).read_bytes()), spec) for row in rows]
    with torch.inference_mode():
        vectors = torch.cat(
            [embedder(torch.from_numpy(np.stack(drawings[at : at + 64]))) for at in range(0, len(rows), 64)]
        )
    return recall_at(vectors.numpy(), [row["label"] for row in rows], [1])[1]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    typer.run(main)
