"""A trained network, from its checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from embedding.preprocess import PreprocessSpec
from training.data.classes import Classes
from training.recipe import Recipe, parse_recipe
from training.run.building import build_learner, build_network, load_state
from training.run.checkpoint import Checkpoint, load_checkpoint
from training.run.learner import Learner

__all__ = ["Trained", "load_trained"]


@dataclass(frozen=True)
class Trained:
    """What a checkpoint holds, ready to use.

    Attributes:
        recipe: that it was trained by.
        classes: that its network tells apart.
        preprocess: how photos are served to it.
        learner: network, losses and companions, with the average of weights where there is one; in evaluation mode.
        checkpoint: as read.
    """

    recipe: Recipe
    classes: Classes
    preprocess: PreprocessSpec
    learner: Learner
    checkpoint: Checkpoint

    def embedder(self, *, with_scores: bool = False) -> nn.Module:
        """Photos (n, 3, h, w) -> unit embeddings (n, d), with scores also (n, classes): by the classifier, or by the
        class weights of a margin loss where there is no classifier.

        Raises:
            RecipeInvalid: scores are asked for and nothing gives any.
        """
        margin = self.learner.objective.margin_loss()
        scorer = margin.scorer() if margin is not None and self.learner.network.classifier is None else None
        return self.learner.network.embedder(with_scores=with_scores, scorer=scorer)


def load_trained(path: Path) -> Trained:
    """Read a checkpoint of `training.run`, on the CPU.

    Raises:
        CheckpointInvalid: there is none, it is not whole, or its tensors do not fit its recipe.
        RecipeInvalid: its recipe cannot be used by this version.
    """
    checkpoint = load_checkpoint(path)
    recipe = parse_recipe(dict(checkpoint.recipe), str(path))
    network = build_network(recipe, len(checkpoint.classes), pretrained=False)
    learner = build_learner(recipe, checkpoint.stage, network, torch.tensor(checkpoint.counts))
    load_state(learner, checkpoint, average=True)
    preprocess = PreprocessSpec.model_validate(checkpoint.preprocess)
    return Trained(recipe, Classes(checkpoint.classes), preprocess, learner.eval(), checkpoint)
