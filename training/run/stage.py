"""One stage of a run: its photos, its optimiser, and its step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from embedding.preprocess import PreprocessSpec
from training.batch import Batch
from training.data.chance import seed_of
from training.data.classes import Classes
from training.data.dataset import PhotoSet
from training.data.loading import Loaded, PhotoLoader
from training.data.splits import Split
from training.optimise.optimisers import set_rates
from training.optimise.schedules import Extent
from training.recipe import Recipe, Stage
from training.run.accelerating import worker_count
from training.run.checkpoint import Checkpoint
from training.run.learner import Learner
from training.run.pieces import pieces_of

__all__ = ["StageRun", "canvas_of", "stage_loader"]


def canvas_of(recipe: Recipe, stage: Stage) -> PreprocessSpec:
    """How photos are served to the network of a stage."""
    return stage.preprocess or recipe.data.preprocess


def stage_loader(
    recipe: Recipe, number: int, split: Split, classes: Classes, accelerator: Accelerator | None = None
) -> PhotoLoader:
    """The training photos of a stage, augmented, in batches; those of this process where there are several.

    Raises:
        PhotosUnusable: the sampler cannot make batches of these photos.
    """
    stage, seed = recipe.stages[number], seed_of(recipe.seed, "photos", number)
    augment = recipe.data.augment if stage.augment is None else stage.augment
    canvas = canvas_of(recipe, stage)
    photos = PhotoSet(split.training, classes, canvas, augment, spec=recipe.data.photos, seed=seed)
    on_gpu = accelerator is not None and accelerator.device.type == "cuda"
    return PhotoLoader(
        photos,
        stage.sampler.plan(split.training, batch=stage.batch, seed=seed),
        mixer=stage.mixing.build(len(classes)) if stage.mixing else None,
        seed=seed,
        workers=worker_count(recipe.machine, on_gpu=on_gpu) if accelerator else 0,
        pin=on_gpu,
        process=accelerator.process_index if accelerator else 0,
        processes=accelerator.num_processes if accelerator else 1,
    )


class StageRun:
    """A stage that is being trained.

    Args:
        recipe: of the run.
        number: of the stage.
        learner: what learns; on the accelerator's device.
        loader: of its photos.
        accelerator: device, precision, processes.
        checkpoint: of this stage, to go on from; the learner has its weights already.

    Attributes:
        extent: how long it is; where epochs differ in length, by the first one's.
        average: moving average of the learner; None without one.
    """

    def __init__(
        self,
        recipe: Recipe,
        number: int,
        learner: Learner,
        *,
        loader: PhotoLoader,
        accelerator: Accelerator,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.recipe, self.number, self.stage = recipe, number, recipe.stages[number]
        self.learner, self.loader, self.accelerator = learner, loader, accelerator
        per_epoch = loader.batches(0)
        steps = min(per_epoch * self.stage.epochs, self.stage.max_steps or per_epoch * self.stage.epochs)
        self.extent = Extent(steps, per_epoch)
        self.optimiser = self.stage.optimiser.build(learner, self.stage.batch)
        self.average: AveragedModel | None = self.stage.ema.build(learner) if self.stage.ema else None
        if checkpoint is not None:
            self._take_up(checkpoint)
        self._format = torch.channels_last if self._channels_last() else torch.contiguous_format
        learner.network.to(memory_format=self._format)
        if recipe.machine.compile:
            learner.network.compile()
        self._model, self._stepper = accelerator.prepare(learner, self.optimiser)

    def step_of(self, epoch: int, batch: int) -> int:
        """The step of the stage that a batch of an epoch is."""
        return epoch * self.extent.steps_per_epoch + min(batch, self.extent.steps_per_epoch - 1)

    def batches(self, epoch: int, start: int) -> Iterator[Loaded]:
        """The batches of an epoch from `start` on, to the stage's last step, on the device."""
        for loaded in self.loader.epoch(epoch, start):
            if self.step_of(epoch, loaded.number) >= self.extent.steps:
                return
            yield loaded.to(self.accelerator.device, non_blocking=True)

    def step(self, batch: Batch, epoch: int, number: int) -> dict[str, Tensor]:
        """Learn from a batch: its losses by name, of this process's photos where they are not of all.

        Args:
            batch: of this process, on the device.
            epoch, number: which.
        """
        step = self.step_of(epoch, number)
        # Dropout and the like hang on the place in the run alone, so that nothing of it need be saved.
        place = (self.recipe.seed, "step", self.number, epoch, number, self.accelerator.process_index)
        torch.manual_seed(seed_of(*place))
        set_rates(
            self.optimiser,
            self.stage.schedule.factor(step, self.extent),
            self.stage.schedule.momentum(step, self.extent),
        )
        self._model.train()
        losses = self._gradients(batch)
        if self.stage.clip is not None:
            self.accelerator.clip_grad_norm_(self._model.parameters(), self.stage.clip)
        self._stepper.step()
        self._stepper.zero_grad()
        if self.average is not None and self.stage.ema is not None:
            self.stage.ema.update(self.average, self.learner, step)
        return losses

    def finish(self) -> None:
        """End the stage: where there is an average, it becomes the weights."""
        self.optimiser.zero_grad()
        if self.average is not None:
            self.learner.load_state_dict(self.average.module.state_dict())

    def judged(self) -> Learner:
        """What is judged and kept: the average where there is one."""
        return self.learner if self.average is None else self.average.module  # type: ignore[return-value]

    def rate(self) -> float:
        """The highest learning rate of the last step."""
        return max(float(group["lr"]) for group in self.optimiser.param_groups)

    def _gradients(self, batch: Batch) -> dict[str, Tensor]:
        pieces = pieces_of(batch, self.stage.accumulation)
        found: list[dict[str, Tensor]] = []
        for at, piece in enumerate(pieces):
            last = at == len(pieces) - 1
            with nullcontext() if last else self.accelerator.no_sync(self._model):
                losses: dict[str, Tensor] = self._model(_laid_out(piece, self._format))
                self.accelerator.backward(losses["loss"] / len(pieces))
            found.append(losses)
        return {name: torch.stack([one[name].detach() for one in found]).mean() for name in found[0]}

    def _take_up(self, checkpoint: Checkpoint) -> None:
        if checkpoint.optimiser is not None:
            self.optimiser.load_state_dict(checkpoint.optimiser)
        if self.accelerator.scaler is not None and checkpoint.scaler is not None:
            self.accelerator.scaler.load_state_dict(checkpoint.scaler)
        if self.average is not None and checkpoint.average is not None:
            self.average.module.load_state_dict(checkpoint.average)
            self.average.n_averaged.fill_(checkpoint.averaged)

    def _channels_last(self) -> bool:
        wanted = self.recipe.machine.channels_last
        return self.accelerator.device.type == "cuda" if wanted is None else wanted


def _laid_out(batch: Batch, layout: torch.memory_format) -> Batch:
    return replace(batch, images=batch.images.contiguous(memory_format=layout))
