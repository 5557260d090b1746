"""A run from top to bottom: photos, network, stages, steps, checkpoints.

    whichone train omniglot --data characters.csv --out runs/first
    whichone train omniglot --data characters.csv --out runs/first --resume
    accelerate launch --num_processes 2 -m training.commands.train landmark2020/config1 --data gld.csv --out runs/gld

Everything that chance decides is seeded by where in the run it happens, so a run that is taken up again goes on as if
it had never stopped: on a CPU, to the bit.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from training.recipe import Recipe
from training.run.accelerating import Device, make_accelerator
from training.run.beginning import prepare
from training.run.building import next_learner
from training.run.checkpoint import Position, load_checkpoint
from training.run.folder import RunFolder
from training.run.interruption import Interruption
from training.run.metrics import MetricName
from training.run.reporting import Reporter
from training.run.stage import StageRun, stage_loader
from training.run.state import Run, end_epoch, save_last, tell_losses

__all__ = ["Result", "train"]

LOG_STEPS = 20
"""Optimiser steps between lines of the log."""


@dataclass(frozen=True)
class Result:
    """What came of a run.

    Attributes:
        recipe: its name.
        folder: of the run.
        best, last: checkpoints: to use, and to go on from.
        select: the metric that says which is best.
        metrics: of the epoch that `best` holds.
        steps: optimiser steps taken in all.
        seconds: of this call.
    """

    recipe: str
    folder: Path
    best: Path
    last: Path
    select: MetricName
    metrics: Mapping[str, float]
    steps: int
    seconds: float


def train(
    recipe: Recipe,
    source: str | Path,
    out: Path,
    *,
    device: Device = "auto",
    resume: bool = False,
    reporter: Reporter | None = None,
) -> Result:
    """Train a recipe.

    Args:
        recipe: what to do.
        source: photos, see `training.data.listing.read_listing`.
        out: folder of the run, see `training.run.folder`.
        device: where.
        resume: whether to go on with the run in `out`.
        reporter: told what happens; nobody if None.

    Raises:
        RecipeInvalid, PhotosUnusable: before the first step.
        CheckpointInvalid: there is nothing to go on with, or it is of another recipe or other photos.
        DeviceUnavailable: no such device.
        RunFailed: the loss is not a number, a photo cannot be read, the disk is full; the last checkpoint is whole.
        KeyboardInterrupt, SystemExit: after a signal, when a checkpoint was written.
    """
    began = time.monotonic()
    accelerator = make_accelerator(recipe.machine, device)
    run = prepare(recipe, source, RunFolder(out), accelerator, resume=resume, reporter=reporter)
    with Interruption() as interruption:
        for number in range(run.position.stage, len(recipe.stages)):
            _train_stage(run, number, interruption)
    best = run.folder.best if run.folder.best.exists() else run.folder.last
    metrics = load_checkpoint(best).history[-1]["metrics"] if run.history else {}
    seconds = time.monotonic() - began
    return Result(recipe.name, out, best, run.folder.last, recipe.select, metrics, run.position.total, seconds)


def _train_stage(run: Run, number: int, interruption: Interruption) -> None:
    fresh = run.position.epoch == run.position.step == 0
    if fresh and number:
        run.learner = next_learner(run.recipe, number, run.learner, run.counts)
    run.learner.to(run.accelerator.device)
    with closing(stage_loader(run.recipe, number, run.split, run.classes, run.accelerator)) as loader:
        current = StageRun(
            run.recipe,
            number,
            run.learner,
            loader=loader,
            accelerator=run.accelerator,
            checkpoint=None if fresh else run.taken_up,
        )
        run.taken_up = None
        _train_epochs(run, current, interruption)


def _train_epochs(run: Run, current: StageRun, interruption: Interruption) -> None:
    stage, number = current.stage, current.number
    done = current.step_of(run.position.epoch, run.position.step)
    run.reporter.stage(f"stage {stage.name}", current.extent.steps, done)
    for epoch in range(run.position.epoch, stage.epochs):
        if current.step_of(epoch, 0) >= current.extent.steps:
            break
        _train_epoch(run, current, epoch, interruption)
        run.position = Position(number, epoch + 1, 0, run.position.total)
        last = epoch + 1 == stage.epochs or current.step_of(epoch + 1, 0) >= current.extent.steps
        if last:
            current.finish()
            current.average = None
            run.position = Position(number + 1, 0, 0, run.position.total)
        end_epoch(run, current, epoch, judged=last or (epoch + 1) % stage.evaluate_every == 0, last=last)
        if interruption.asked(run.accelerator.device, step=0):
            _stop(run, interruption)


def _train_epoch(run: Run, current: StageRun, epoch: int, interruption: Interruption) -> None:
    skipped = 0
    for loaded in current.batches(epoch, run.position.step):
        losses = current.step(loaded.batch, epoch, loaded.number)
        total = run.position.total + 1
        run.position = replace(run.position, epoch=epoch, step=loaded.number + 1, total=total)
        run.watch.add(total, losses)
        skipped += len(loaded.unreadable)
        run.reporter.step(current.step_of(epoch, loaded.number) + 1, current.stage.batch, current.rate())
        if total % LOG_STEPS == 0:
            tell_losses(run, current)
        if interruption.asked(run.accelerator.device, total):
            tell_losses(run, current)
            save_last(run, current)
            _stop(run, interruption)
        if total % run.recipe.machine.checkpoint_steps == 0:
            tell_losses(run, current)
            save_last(run, current)
    tell_losses(run, current)
    if skipped:
        run.reporter.note(f"{skipped} photo(s) could not be read in this epoch and others took their places")


def _stop(run: Run, interruption: Interruption) -> None:
    run.reporter.note(f"interrupted at step {run.position.total}; --resume goes on from {run.folder.last}")
    interruption.obey()
