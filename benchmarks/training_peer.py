"""The same drawings, network, loss and epochs in another library's training loop.

`python -m benchmarks.training_peer [--epochs 24] [--threads 1] [--data ../shared/data/omniglot]`

The recipe `omniglot` with average pooling, one way up and unbent, beside pytorch-metric-learning's `MetricLossOnly`
trainer with its `ArcFaceLoss`: the same narrow resnet10t from scratch, 256 numbers, AdamW, one cycle, batches of 32,
the same augmentation in torchvision's own transforms, decoded photos in memory, as ours has (`--no-cached`: a torch
`Dataset` that opens them with Pillow, as that library's examples do). R@1 among drawings of characters that neither
saw.
"""

from __future__ import annotations

import csv
import logging
import tempfile
import time
from pathlib import Path
from typing import Annotated

import timm
import torch
import typer
from PIL import Image
from pytorch_metric_learning import losses, trainers
from torch import Tensor, nn
from torchvision.transforms import v2

from benchmarks.training_omniglot import recall_of, recipe_of, unseen_recall, write_training_list
from training.recipe import Recipe, parse_recipe
from training.run.loop import train

BATCH, DIM, RATE = 32, 256, 0.0015
SCALE, MARGIN_DEGREES = 30.0, 17.19  # .3 radians


def main(
    data: Annotated[Path, typer.Option(help="The omniglot folder.")] = Path("../shared/data/omniglot"),
    epochs: Annotated[int, typer.Option(help="Of each run.")] = 24,
    seeds: Annotated[int, typer.Option(help="Runs of each.")] = 1,
    threads: Annotated[int, typer.Option(help="Processor threads.")] = 1,
    cached: Annotated[bool, typer.Option(help="Give the other library photos that are decoded already.")] = True,
) -> None:
    """Print the table as Markdown."""
    torch.set_num_threads(threads)
    logging.getLogger("PML").setLevel(logging.ERROR)
    typer.echo("| training loop | seed | R@1 on unseen characters | photos/s |")
    typer.echo("| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as scratch:
        photos = write_training_list(data, Path(scratch) / "photos.csv")
        for seed in range(seeds):
            for name, (recall, rate) in (
                ("Whichone", _ours(photos, data, Path(scratch) / f"run-{seed}", seed, epochs)),
                ("pytorch-metric-learning", _theirs(photos, data, seed, epochs, cached=cached)),
            ):
                typer.echo(f"| {name} | {seed} | {recall:.3f} | {rate:.1f} |")


def _ours(photos: Path, data: Path, out: Path, seed: int, epochs: int) -> tuple[float, float]:
    began = time.perf_counter()
    result = train(_recipe(seed, epochs), str(photos), out, device="cpu")
    return unseen_recall(result.last, data), result.steps * BATCH / (time.perf_counter() - began)


def _recipe(seed: int, epochs: int) -> Recipe:
    """Without the one step that torchvision has not, or slowly."""
    document = recipe_of("ArcFace", "average", seed, epochs).model_dump(mode="json")
    document["data"]["augment"] = [step for step in document["data"]["augment"] if step["kind"] != "elastic"]
    return parse_recipe(document, "omniglot, unbent")


def _theirs(photos: Path, data: Path, seed: int, epochs: int, *, cached: bool) -> tuple[float, float]:
    torch.manual_seed(seed)
    drawings = Drawings(photos, cached=cached)
    recipe = _recipe(seed, epochs)
    trunk = timm.create_model(recipe.network.backbone.name, num_classes=0, **recipe.network.backbone.options)
    embedder = nn.Sequential(nn.Linear(trunk.num_features, DIM, bias=False), nn.BatchNorm1d(DIM))
    loss = losses.ArcFaceLoss(len(drawings.labels), DIM, margin=MARGIN_DEGREES, scale=SCALE)
    parameters = [*trunk.parameters(), *embedder.parameters(), *loss.parameters()]
    optimiser = torch.optim.AdamW(
        [
            {"params": [one for one in parameters if one.ndim > 1], "weight_decay": 0.05},
            {"params": [one for one in parameters if one.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=RATE,
    )
    steps = len(drawings) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps * epochs + 1)
    trainer = trainers.MetricLossOnly(
        models={"trunk": trunk, "embedder": embedder},
        optimizers={"trunk_optimizer": optimiser},
        lr_schedulers={"trunk_scheduler_by_iteration": schedule},
        batch_size=BATCH,
        loss_funcs={"metric_loss": loss},
        dataset=drawings,
        data_device=torch.device("cpu"),
        dataloader_num_workers=0,
    )
    began = time.perf_counter()
    trainer.train(num_epochs=epochs)
    rate = steps * epochs * BATCH / (time.perf_counter() - began)
    whole = nn.Sequential(trunk, embedder).eval()
    return recall_of(lambda batch: nn.functional.normalize(whole(batch), dim=1), recipe.data.preprocess, data), rate


class Drawings(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """The photos of a list, augmented as the recipe `omniglot` says."""

    def __init__(self, photos: Path, *, cached: bool) -> None:
        with photos.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.labels = sorted({row["label"] for row in rows})
        self.targets = [self.labels.index(row["label"]) for row in rows]
        self.paths = [row["path"] for row in rows]
        self.kept = [Image.open(path).convert("RGB") for path in self.paths] if cached else None
        self.augment = v2.Compose(
            [
                v2.Resize((54, 54)),
                v2.RandomAffine(
                    10, (0.03, 0.03), (0.85, 1.15), (-9, 9, -9, 9), v2.InterpolationMode.BILINEAR, fill=255
                ),
                v2.RandomResizedCrop(48, scale=(0.7, 1.0), ratio=(0.85, 1.18)),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize([0.5] * 3, [0.5] * 3),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, at: int) -> tuple[Tensor, int]:
        image = self.kept[at] if self.kept is not None else Image.open(self.paths[at]).convert("RGB")
        return self.augment(image), self.targets[at]


if __name__ == "__main__":
    typer.run(main)
