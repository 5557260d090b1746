"""Before the first step: everything that can be wrong is told now, and a run that was interrupted is taken up."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from accelerate import Accelerator
from torch import Tensor

from training.data.classes import Classes
from training.data.listing import read_listing
from training.errors import CheckpointInvalid
from training.recipe import Recipe, parse_recipe
from training.run.board import Board, is_installed
from training.run.building import build_learner, build_network, load_state
from training.run.checkpoint import Checkpoint, Position, load_checkpoint
from training.run.folder import RunFolder
from training.run.judging import Judge
from training.run.learner import Learner
from training.run.reporting import Reporter, SilentReporter
from training.run.selecting import check_select
from training.run.stage import stage_loader
from training.run.starting import Started, start_from
from training.run.state import Run
from training.run.versions import fingerprint, versions

__all__ = ["prepare"]


def prepare(
    recipe: Recipe,
    source: str | Path,
    folder: RunFolder,
    accelerator: Accelerator,
    *,
    resume: bool,
    reporter: Reporter | None,
) -> Run:
    photos = read_listing(source)
    split = recipe.data.parted(photos)
    classes = Classes.of(split.training)
    data = fingerprint([*split.training, *split.validation])
    check_select(recipe, split, classes)
    checkpoint = _to_go_on_with(folder, recipe, data) if resume else None
    for number in range(len(recipe.stages)):
        stage_loader(recipe, number, split, classes)  # photos that a later stage cannot use are told now
    position = checkpoint.position if checkpoint else Position()
    counts = classes.counts(split.training)
    learner = _learner_at(recipe, position, counts, checkpoint)
    started = None
    if checkpoint is None and recipe.network.weights is not None:
        started = start_from(learner, recipe, classes.labels, Path(recipe.network.weights))
    run = Run(
        recipe,
        split,
        classes,
        data,
        folder,
        accelerator,
        Judge(recipe, split, classes, accelerator),
        reporter if reporter and accelerator.is_main_process else SilentReporter(),
        position,
        learner,
        checkpoint,
    )
    if checkpoint:
        run.history, run.best = list(checkpoint.history), checkpoint.best
    if run.is_first:
        _open_folder(run, source, checkpoint, started)
    accelerator.wait_for_everyone()
    return run


def _to_go_on_with(folder: RunFolder, recipe: Recipe, data: str) -> Checkpoint:
    checkpoint = load_checkpoint(folder.last)
    if parse_recipe(dict(checkpoint.recipe), str(folder.last)) != recipe:
        raise CheckpointInvalid(
            f"{folder.last} is of another recipe than {recipe.name} as it is now; go on with the one in "
            f"{folder.path / 'recipe.yaml'}, or begin in another folder",
            file=str(folder.last),
        )
    if checkpoint.data != data:
        raise CheckpointInvalid(
            f"{folder.last} was trained on other photos (names, labels or sizes differ); begin in another folder",
            file=str(folder.last),
        )
    return checkpoint


def _learner_at(recipe: Recipe, position: Position, counts: Tensor, checkpoint: Checkpoint | None) -> Learner:
    """Of the stage that the position is in; between two stages, of the one that has ended."""
    network = build_network(recipe, len(counts), pretrained=checkpoint is None)
    between = position.stage > 0 and position.epoch == position.step == 0
    learner = build_learner(recipe, position.stage - between, network, counts)
    if checkpoint is not None:
        load_state(learner, checkpoint)
    return learner


def _open_folder(run: Run, source: str | Path, checkpoint: Checkpoint | None, started: Started | None) -> None:
    if checkpoint is None:
        facts = {
            "versions": versions(),
            "source": str(source),
            "data": run.data,
            "training_photos": len(run.split.training),
            "validation_photos": len(run.split.validation),
            "left_out": run.split.left_out,
            "classes": len(run.classes),
            "parameters": sum(one.numel() for one in run.learner.network.parameters()),
            "device": str(run.accelerator.device),
            "precision": str(run.accelerator.mixed_precision),
            "processes": run.accelerator.num_processes,
            "started_from": asdict(started) if started else None,
        }
        run.folder.begin(run.recipe.yaml(), facts)
    else:
        run.folder.forget_after(run.position.total)
    if is_installed():
        run.board = Board(run.folder.path / "tensorboard", run.position.total)
    if started is not None:
        run.reporter.note(str(started))
    run.reporter.note(
        f"{run.recipe.name}: {len(run.split.training)} photos of {len(run.classes)} labels, "
        f"{len(run.split.validation)} to judge by; {run.accelerator.device} x {run.accelerator.num_processes}"
    )
