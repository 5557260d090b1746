"""A run as it stands: what it is made of, how far it is, what of it is told and kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from accelerate import Accelerator
from torch import Tensor

from training.data.classes import Classes
from training.data.splits import Split
from training.errors import RunFailed
from training.recipe import Recipe
from training.run.board import Board
from training.run.checkpoint import Checkpoint, Position, save_checkpoint
from training.run.curves import draw_curves
from training.run.folder import RunFolder
from training.run.judging import Judge, Judgement
from training.run.learner import Learner
from training.run.mistakes import draw_mistakes
from training.run.reporting import Reporter
from training.run.stage import StageRun, canvas_of
from training.run.versions import versions
from training.run.watch import LossWatch

__all__ = ["Run", "checkpoint_of", "end_epoch", "save_last", "tell_losses"]


@dataclass
class Run:
    """What changes while a run goes on, and what it is made of.

    Attributes:
        recipe, split, classes, data, folder, accelerator, judge, reporter: as they are from the start; `data` is the
            photos' fingerprint.
        position: of the next step.
        learner: of the stage that is trained.
        taken_up: the checkpoint that the first stage goes on from; None once it has.
        history, best: metrics so far, and the best value of the one that selects.
        board: TensorBoard, in the first process alone.
        watch: losses that have not been told yet.
    """

    recipe: Recipe
    split: Split
    classes: Classes
    data: str
    folder: RunFolder
    accelerator: Accelerator
    judge: Judge
    reporter: Reporter
    position: Position
    learner: Learner
    taken_up: Checkpoint | None = None
    history: list[Mapping[str, Any]] = field(default_factory=list)
    best: float | None = None
    board: Board | None = None
    watch: LossWatch = field(default_factory=LossWatch)

    @property
    def counts(self) -> Tensor:
        return self.classes.counts(self.split.training)

    @property
    def is_first(self) -> bool:
        return bool(self.accelerator.is_main_process)


def tell_losses(run: Run, current: StageRun) -> None:
    """Means of the losses since they were told last, into the log.

    Raises:
        RunFailed: one was not a number.
    """
    losses, bad = run.watch.flush()
    total = run.position.total
    if bad is not None:
        kept = run.folder.last if run.folder.last.exists() else "none yet"
        raise RunFailed(
            f"The loss is not a finite number at step {bad} (stage {current.stage.name}, learning rate "
            f"{current.rate():.3g}); lower the rate, clip gradients, or take precision fp32. Last checkpoint: {kept}",
            step=bad,
            stage=current.stage.name,
        )
    if run.is_first and losses:
        place = {"stage": current.stage.name, "epoch": run.position.epoch, "step": total}
        run.folder.log("steps", **place, losses=losses, lr=current.rate())
        if run.board:
            run.board.write("train", {**losses, "lr": current.rate()}, total)
        run.reporter.losses(losses)


def end_epoch(run: Run, current: StageRun, epoch: int, *, judged: bool, last: bool) -> None:
    """Judge, log, keep.

    Args:
        run: its position is that of what comes next.
        current: the stage.
        epoch: that has ended.
        judged: whether it is judged.
        last: whether the stage ends with it.
    """
    is_best = False
    if judged:
        judgement = run.judge.judge(current.judged(), canvas_of(run.recipe, current.stage))
        value = judgement.metrics.get(run.recipe.select)
        is_best = value is not None and (run.best is None or value > run.best)
        run.best = value if is_best else run.best
        run.history.append(
            {"stage": current.stage.name, "epoch": epoch, "step": run.position.total, "metrics": judgement.metrics}
        )
        if run.is_first:
            _show(run, current, epoch, judgement, is_best)
    # What is kept for use comes first: a run that is taken up from `last` believes that the others are there.
    if run.is_first and (is_best or last):
        kept = checkpoint_of(run, current, for_use=True)
        if is_best:
            save_checkpoint(kept, run.folder.best)
        if last:
            save_checkpoint(kept, run.folder.stage_end(current.number, current.stage.name))
    save_last(run, current)


def _show(run: Run, current: StageRun, epoch: int, judgement: Judgement, is_best: bool) -> None:
    run.folder.log("epoch", **run.history[-1])
    if run.board:
        run.board.write(
            "validation", {str(name): value for name, value in judgement.metrics.items()}, run.position.total
        )
    run.reporter.epoch(f"stage {current.stage.name}, epoch {epoch + 1}", judgement.metrics, is_best)
    draw_curves(run.folder.lines(), run.folder.path / "curves.png")
    if judgement.queries is not None and (is_best or run.best is None):
        photos = {one.name: one for one in (*run.judge.queries, *run.judge.gallery)}
        draw_mistakes(
            judgement.queries, judgement.gallery, photos, run.recipe.data.photos, run.folder.path / "worst.png"
        )


def save_last(run: Run, current: StageRun) -> None:
    """Where the run can go on; after `tell_losses`, which finds what must not be kept."""
    if run.is_first:
        save_checkpoint(checkpoint_of(run, current), run.folder.last)


def checkpoint_of(run: Run, current: StageRun, *, for_use: bool = False) -> Checkpoint:
    """The run as it stands; for use alone, without what only going on needs."""
    average, scaler = current.average, run.accelerator.scaler
    between = run.position.epoch == run.position.step == 0
    return Checkpoint(
        recipe=run.recipe.model_dump(mode="json"),
        classes=run.classes.labels,
        counts=tuple(run.counts.tolist()),
        data=run.data,
        preprocess=canvas_of(run.recipe, current.stage).model_dump(mode="json"),
        stage=current.number,
        position=run.position,
        learner=(current.judged() if for_use else run.learner).state_dict(),
        average=average.module.state_dict() if average and not for_use else None,
        averaged=int(average.n_averaged) if average and not for_use else 0,
        optimiser=None if for_use or between else current.optimiser.state_dict(),
        scaler=scaler.state_dict() if scaler and not for_use else None,
        history=tuple(run.history),
        best=run.best,
        versions=versions() if for_use else {},
    )
