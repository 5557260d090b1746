"""A network judged by the validation photos, each seen as it would be served."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor
from torch.nn import functional

from embedding.preprocess import PreprocessSpec
from index.evaluation.protocols.chance import drawn
from training.data.classes import Classes
from training.data.dataset import PhotoSet
from training.data.listing import TrainingPhoto
from training.data.loading import PhotoLoader
from training.data.samplers import InOrder
from training.data.samplers.balanced import balanced
from training.data.splits import Split
from training.recipe import Recipe
from training.run.accelerating import worker_count
from training.run.learner import Learner
from training.run.metrics import RANKED, Answers, Embedded, MetricName, measure

__all__ = ["Judge", "Judgement"]

BATCH = 64


@dataclass(frozen=True)
class Judgement:
    """What was found.

    Attributes:
        metrics: those that the photos define.
        queries: the validation photos; None without any.
        gallery: what they were compared with; None without any.
    """

    metrics: dict[MetricName, float]
    queries: Embedded | None = None
    gallery: Embedded | None = None


class Judge:
    """Judges learners of one run, always by the same photos.

    Args:
        recipe: of the run.
        split: its photos.
        classes: its classes.
        accelerator: device, precision, processes; the photos are shared out.
    """

    def __init__(self, recipe: Recipe, split: Split, classes: Classes, accelerator: Accelerator) -> None:
        self.recipe, self.classes, self.accelerator = recipe, classes, accelerator
        self.queries = _drawn(split.validation, recipe.evaluation.limit, recipe.seed)
        self.gallery = _gallery(recipe, split, self.queries)

    def judge(self, learner: Learner, canvas: PreprocessSpec) -> Judgement:
        """Metrics of a learner, the same in every process.

        Args:
            learner: on the accelerator's device; left in evaluation mode.
            canvas: how photos are served to it.

        Raises:
            RunFailed: a photo cannot be read.
        """
        if not self.queries:
            return Judgement({})
        queries = self.embed(learner, self.queries, canvas)
        gallery = self.embed(learner, self.gallery, canvas) if self.gallery else None
        return Judgement(measure(queries, gallery, self.classes.labels), queries, gallery)

    def embed(self, learner: Learner, photos: Sequence[TrainingPhoto], canvas: PreprocessSpec) -> Embedded:
        """Photos as vectors, and as answers of the classifier where there is one."""
        process, processes = self.accelerator.process_index, self.accelerator.num_processes
        own = self._embed_own(learner.eval(), photos[process::processes], canvas)
        parts = gather_object([own]) if processes > 1 else [own]
        order = np.argsort(np.concatenate([np.arange(at, len(photos), processes) for at in range(processes)]))
        vectors, labels, scores = (np.concatenate([part[at] for part in parts])[order] for at in range(3))
        answers = Answers(np.asarray(self.classes.labels)[labels], scores.astype(np.float64)) if labels.size else None
        return Embedded([one.name for one in photos], [one.label for one in photos], vectors, answers)

    @torch.no_grad()
    def _embed_own(
        self, learner: Learner, photos: Sequence[TrainingPhoto], canvas: PreprocessSpec
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Vectors (n, d), the best classes (n, k), their probabilities (n, k); k is 0 without a classifier."""
        loader = PhotoLoader(
            # Each is looked at once: nothing to keep.
            PhotoSet(photos, self.classes, canvas, spec=self.recipe.data.photos.model_copy(update={"cache_mb": 0})),
            InOrder(len(photos), BATCH),
            workers=worker_count(self.recipe.machine, on_gpu=self.accelerator.device.type == "cuda"),
        )
        rows: list[tuple[Tensor, Tensor, Tensor]] = []
        with closing(loader):
            for loaded in loader.epoch(0):
                images = loaded.batch.images.to(self.accelerator.device, non_blocking=True)
                with self.accelerator.autocast():
                    outputs = learner.network(images)
                unit = functional.normalize(outputs.embedding.float(), dim=1)
                rows.append((unit.cpu(), *_best_classes(learner, outputs.logits, outputs.embedding.float())))
        if not rows:
            return np.zeros((0, learner.network.dim), np.float32), np.zeros((0, 0), np.int64), np.zeros((0, 0))
        return tuple(torch.cat(column).numpy() for column in zip(*rows, strict=True))  # type: ignore[return-value]


def _best_classes(learner: Learner, logits: Tensor | None, embedding: Tensor) -> tuple[Tensor, Tensor]:
    """(n, k) numbers and probabilities of the best classes, by the classifier or by a loss that has class weights."""
    margin = learner.objective.margin_loss()
    if logits is not None:
        scores = logits.float()
    elif margin is not None:
        scores = margin.scores(embedding)
    else:
        return torch.zeros(len(embedding), 0, dtype=torch.int64), torch.zeros(len(embedding), 0)
    best = scores.softmax(1).topk(min(RANKED, scores.shape[1]), dim=1)
    return best.indices.cpu(), best.values.cpu()


def _gallery(recipe: Recipe, split: Split, queries: Sequence[TrainingPhoto]) -> list[TrainingPhoto]:
    """Some training photos of each label; where they are too many, those first whose labels are asked about."""
    wanted = recipe.evaluation
    if not wanted.gallery_per_label or not wanted.gallery_limit or not queries:
        return []
    asked = {photo.label for photo in queries}
    photos = [photo for photo in split.training if photo.pose == "as_it_is"]
    chosen = [photos[at] for at in balanced(photos, wanted.gallery_per_label, recipe.seed)]
    chosen.sort(key=lambda photo: photo.label not in asked)
    return chosen[: wanted.gallery_limit]


def _drawn(photos: Sequence[TrainingPhoto], limit: int, seed: int) -> list[TrainingPhoto]:
    if len(photos) <= limit:
        return list(photos)
    names = set(drawn((photo.name for photo in photos), seed)[:limit])
    return [photo for photo in photos if photo.name in names]
