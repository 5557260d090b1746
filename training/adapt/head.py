"""A linear head on frozen features, learned with ArcFace: minutes on two cores, no photo is looked at again."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from training.adapt.features import Features
from training.adapt.trial import Map
from training.batch import Batch, Outputs
from training.data.chance import seed_of
from training.losses.arcface import ArcFaceSpec
from training.losses.objective import LossSpec
from training.spec import Spec

__all__ = ["HeadSpec", "fit_head"]


class HeadSpec(Spec):
    """How the head learns.

    Attributes:
        loss: one that judges embeddings.
        steps: of the optimiser.
        batch: photos a step.
        lr: AdamW's, of the head; falls to nought along a cosine.
        classes_lr: the same of the loss's class weights.
        tether: weight of the mean squared distance of the head's entries from where it started, times their number a
            row: little data moves little.
        share: 0..1, how far from the start the result lies on the way to what was learned. Source: Wortsman et al.,
            Robust fine-tuning of zero-shot models, CVPR 2022 (weights in between keep what was known).
        seed: of everything that chance decides.
    """

    loss: LossSpec = ArcFaceSpec(scale=30.0, margin=0.3, class_weights="none")
    steps: Annotated[int, Field(ge=1)] = 300
    batch: Annotated[int, Field(ge=2)] = 256
    lr: Annotated[float, Field(gt=0)] = 1e-3
    classes_lr: Annotated[float, Field(gt=0)] = 1e-2
    tether: Annotated[float, Field(ge=0)] = 1.0
    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    seed: int = 0


def fit_head(features: Features, spec: HeadSpec, start: Map | None = None) -> Map:
    """Learn a map (d, d) from photos and their views, each step a random view of random photos.

    Args:
        features: photos with labels.
        spec: how.
        start: where it begins; None for the identity.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(spec.seed, "head"))
        return _fit(features, spec, start)


def _fit(features: Features, spec: HeadSpec, start: Map | None) -> Map:
    dim = features.vectors.shape[1]
    first = torch.eye(dim) if start is None else torch.from_numpy(start.astype(np.float32))
    seen, labels, counts = _tensors(features)
    loss = spec.loss.build(classes=len(counts), dim=dim, counts=counts)
    head = nn.Parameter(first.clone())
    with torch.no_grad():
        _start_classes(loss, seen[:, 0] @ first.T, labels)
    optimiser = torch.optim.AdamW(
        [{"params": [head], "lr": spec.lr}, {"params": list(loss.parameters()), "lr": spec.classes_lr}],
        weight_decay=0.0,
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, spec.steps)
    for _ in range(spec.steps):
        photos = torch.randperm(len(labels))[: spec.batch]
        views = torch.randint(seen.shape[1], (len(photos),))
        value = loss(_outputs(seen[photos, views] @ head.T), Batch(seen[photos, views], labels[photos]))
        value = value + spec.tether * (head - first).square().sum() / dim
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        schedule.step()
    learned = first + spec.share * (head.detach() - first)
    return np.asarray(learned.numpy(), np.float32)


def _tensors(features: Features) -> tuple[Tensor, Tensor, Tensor]:
    """Photos and views (n, 1 + v, d), numbers of labels (n,), photos of each (classes,)."""
    labelled = [at for own in features.places().values() for at in own]
    chosen = features.at(labelled)
    seen = np.concatenate([chosen.vectors[:, None], chosen.views], axis=1)
    numbers: NDArray[np.intp] = np.unique(np.array(chosen.labels), return_inverse=True)[1]
    labels = torch.from_numpy(numbers.astype(np.int64))
    return torch.from_numpy(seen), labels, torch.bincount(labels)


def _start_classes(loss: nn.Module, mapped: Tensor, labels: Tensor) -> None:
    """Class weights begin at the means of their photos, so that the first steps do not tear the head towards chance."""
    for weight in loss.parameters():
        if weight.shape == (int(labels.max()) + 1, mapped.shape[1]):
            unit = nn.functional.normalize(mapped, dim=1)
            sums = torch.zeros_like(weight).index_add_(0, labels, unit)
            weight.copy_(nn.functional.normalize(sums, dim=1))


def _outputs(embedding: Tensor) -> Outputs:
    return Outputs(features=embedding[:, :, None, None], pooled=embedding, embedding=embedding)
