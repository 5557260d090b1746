"""A recipe: which network learns from which photos, in which stages, and what is kept of it.

Recipes are YAML (`training.recipes.documents`) read into these frozen models; a key that they do not know is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from embedding.manifest import View
from embedding.preprocess import PreprocessSpec
from training.data.augment import AugmentSpec
from training.data.listing import TrainingPhoto
from training.data.mixing import MixSpec, mixes_labels
from training.data.posed import with_poses
from training.data.reading import PhotosSpec
from training.data.samplers import SamplerSpec
from training.data.samplers.shuffled import ShuffledSampler
from training.data.splits import ByPhotoSplit, Split, SplitSpec
from training.dcl.dcl import DclSpec
from training.errors import RecipeInvalid
from training.lio.lio import LioSpec
from training.losses.objective import ObjectiveSpec, Term
from training.network.network import NetworkSpec
from training.optimise.ema import Ema
from training.optimise.optimisers import Optimiser
from training.optimise.schedules import Constant, Schedule
from training.recipes.documents import parse_yaml, read_document, recipe_path
from training.recipes.mistakes import sentence
from training.recipes.overrides import changed, split_override
from training.run.accelerating import Machine
from training.run.metrics import MetricName
from training.spec import Spec

__all__ = ["DataSpec", "Evaluation", "Export", "Recipe", "Stage", "load_recipe", "parse_recipe", "with_overrides"]

COMPARES_PHOTOS = frozenset({"triplet"})
"""Losses that need several photos of a label in a batch."""

CompanionSpec: TypeAlias = Annotated[DclSpec | LioSpec, Field(discriminator="kind")]
NewPose: TypeAlias = Literal["turned_90", "turned_180", "turned_270", "mirrored"]
Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,49}$")]


class DataSpec(Spec):
    """The photos.

    Attributes:
        preprocess: how the network is served, and judged; training's own sizes follow from `augment`.
        augment: steps of chance, in order; a stage may have its own.
        split: which photos judge.
        new_labels: poses in which training photos are shown as well, as labels of their own; for things that have one
            way up.
        photos: how they are read.
    """

    preprocess: PreprocessSpec
    augment: AugmentSpec = ()
    split: SplitSpec = ByPhotoSplit()
    new_labels: tuple[NewPose, ...] = ()
    photos: PhotosSpec = PhotosSpec()

    def parted(self, photos: Sequence[TrainingPhoto]) -> Split:
        """Photos by what they are for, those to train on in all their poses.

        Raises:
            PhotosUnusable: the split cannot be made of these photos.
        """
        return with_poses(self.split.split(photos), self.new_labels)


class Stage(Spec):
    """A part of a run with its own losses, photos and rates; it starts from the weights that the last one ended with.

    Attributes:
        name: for messages and files.
        epochs: over the sampler's photos.
        max_steps: optimiser steps at most, in all epochs; None: no limit.
        batch: photos a step, of all processes and pieces together.
        accumulation: pieces that a batch is worked through in, for want of memory. Batch norms and losses that compare
            photos see a piece at a time.
        objective: the losses.
        sampler: which photos meet.
        augment, preprocess: instead of the recipe's; a stage at a larger size has both.
        mixing: CutMix or MixUp.
        companions: heads that only training has: DCL, LIO.
        optimiser, schedule: rates.
        train: `head` leaves the backbone's weights as they are (its batch norms go on adapting, as in fastai); "head
            first, then all" is two stages.
        clip: longest gradient; None: any.
        ema: a moving average of the weights, which is then what is judged and kept.
        evaluate_every: epochs; the stage's last epoch is always judged.
    """

    name: Name
    epochs: int = Field(ge=1)
    max_steps: int | None = Field(default=None, ge=1)
    batch: int = Field(ge=2)
    accumulation: int = Field(default=1, ge=1)
    objective: ObjectiveSpec
    sampler: SamplerSpec = ShuffledSampler()
    augment: AugmentSpec | None = None
    preprocess: PreprocessSpec | None = None
    mixing: MixSpec | None = None
    companions: tuple[CompanionSpec, ...] = ()
    optimiser: Optimiser
    schedule: Schedule = Constant()
    train: Literal["all", "head"] = "all"
    clip: float | None = Field(default=None, gt=0)
    ema: Ema | None = None
    evaluate_every: int = Field(default=1, ge=1)

    @property
    def losses(self) -> set[str]:
        """Kinds of the losses."""
        return {term.loss.kind for term in self.objective.terms}

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.batch % self.accumulation:
            raise ValueError(f"a batch of {self.batch} cannot be cut into {self.accumulation} equal pieces")
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        comparing = sorted(self.losses & COMPARES_PHOTOS)
        if comparing and self.sampler.kind not in ("per_label", "companions"):
            yield (
                f"the loss {comparing[0]} compares photos of a label within a batch; the sampler {self.sampler.kind} "
                "brings none together on purpose: take per_label"
            )
        if comparing and self.accumulation > 1:
            yield f"the loss {comparing[0]} compares photos within a batch, so it cannot be worked through in pieces"
        kinds = [one.kind for one in self.companions]
        if len(kinds) > len(set(kinds)):
            yield f"the companion {kinds[0]} stands twice"
        if "lio" in kinds and self.sampler.kind != "companions":
            yield f"lio compares photos of a label: take the sampler companions, not {self.sampler.kind}"
        if kinds and mixes_labels(self.mixing):
            yield f"the companion {kinds[0]} takes one label a photo; take the mixing out"
        if mixes_labels(self.mixing):
            refusing = [term.loss.kind for term in self.objective.terms if _refuses_mixed(term)]
            if refusing:
                yield (
                    f"the loss {refusing[0]} takes one label a photo, so mixed photos cannot "
                    "go with it; take the mixing out, or say when_mixed: skip beside the loss"
                )


class Evaluation(Spec):
    """How much is looked at when a network is judged.

    Attributes:
        gallery_per_label: training photos of each label that validation photos are compared with; 0: none.
        gallery_limit: of all labels together.
        limit: validation photos.
    """

    gallery_per_label: int = Field(default=5, ge=0)
    gallery_limit: int = Field(default=20_000, ge=0)
    limit: int = Field(default=20_000, ge=1)


class Export(Spec):
    """What a bundle made of the result is like.

    Attributes:
        views: of a photo, averaged (`embedding.views`).
        scores: whether it also gives class scores.
    """

    views: tuple[View, ...] = Field(default=("upright",), min_length=1)
    scores: bool = False


class Recipe(Spec):
    """All of a training.

    Attributes:
        name, description: for people.
        network: what learns; the same in all stages.
        data: what it learns from.
        stages: in order.
        select: the metric that says which epoch is best.
        seed: of everything that chance decides.
        evaluation, export, machine: see there.
    """

    name: str = Field(min_length=1)
    description: str = ""
    network: NetworkSpec
    data: DataSpec
    stages: tuple[Stage, ...] = Field(min_length=1)
    select: MetricName = "recall_1"
    seed: int = Field(default=0, ge=0)
    evaluation: Evaluation = Evaluation()
    export: Export = Export()
    machine: Machine = Machine()

    @field_validator("stages")
    @classmethod
    def _names_differ(cls, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
        names = [stage.name for stage in stages]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two stages are called {twice[0]}")
        return stages

    @model_validator(mode="after")
    def _begins_with_what_can_begin(self) -> Self:
        if self.stages[0].losses == {"accuracy"}:
            raise ValueError(
                "the accuracy loss hardly moves a network that is wrong about most photos (its gradient is p (1 - p)); "
                "let a stage with cross-entropy come first"
            )
        return self

    def yaml(self) -> str:
        """The whole recipe as YAML, defaults filled in."""
        text: str = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, width=120, allow_unicode=True)
        return text


def load_recipe(name: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """A recipe by its path or the name of one that ships, with changes such as ``stages.0.epochs=3``.

    Raises:
        RecipeInvalid: there is none, or it, or a change, cannot be used; the message says where.
    """
    path = recipe_path(str(name))
    return with_overrides(parse_recipe(read_document(path), str(path)), overrides)


def parse_recipe(document: Any, origin: str) -> Recipe:
    """A recipe from plain data.

    Args:
        document: nested mappings and lists.
        origin: for messages.

    Raises:
        RecipeInvalid: the first thing that is wrong, and where.
    """
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        raise RecipeInvalid(f"{origin}: {sentence(error, Recipe)}", problems=error.error_count()) from error


def with_overrides(recipe: Recipe, overrides: Iterable[str]) -> Recipe:
    """The recipe with single values changed; values are YAML.

    Args:
        recipe: to start from.
        overrides: each ``path=value``.

    Raises:
        RecipeInvalid: a path leads nowhere, or a value does not fit; all changes are made before any is judged.
    """
    document = recipe.model_dump(mode="json")
    chosen = list(overrides)
    for text in chosen:
        path, value = split_override(text)
        document = changed(document, path, parse_yaml(value, text), origin=text)
    return parse_recipe(document, f"{recipe.name} with {', '.join(chosen)}") if chosen else recipe


def _refuses_mixed(term: Term) -> bool:
    return term.when_mixed == "refuse" and term.loss.kind not in TAKES_MIXED


TAKES_MIXED = frozenset({"cross_entropy", "accuracy"})
"""Losses that can judge photos that show two classes."""
