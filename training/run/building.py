"""From a recipe to the modules of a stage."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from training.data.chance import seed_of
from training.errors import CheckpointInvalid
from training.network.network import Network
from training.recipe import Recipe
from training.run.checkpoint import Checkpoint
from training.run.learner import Learner

__all__ = ["build_learner", "build_network", "load_state", "next_learner"]


def build_network(recipe: Recipe, classes: int, *, pretrained: bool = True) -> Network:
    """The network before training: pretrained where the recipe says so, the rest as its seed draws it.

    Args:
        recipe: of the run.
        classes: how many it tells apart.
        pretrained: False leaves the backbone's weights random, where all will be filled from a checkpoint. So does a
            recipe that starts from one.

    Raises:
        RecipeInvalid: see `training.network.network.NetworkSpec.build`.
    """
    torch.manual_seed(seed_of(recipe.seed, "network"))
    network = recipe.network
    if not pretrained or network.weights is not None:
        changes: dict[str, Any] = {"backbone": network.backbone.model_copy(update={"weights": None})}
        if getattr(network.neck, "start", None) == "classifier":  # of weights that are not there
            changes["neck"] = network.neck.model_copy(update={"start": "torch"})
        network = network.model_copy(update=changes)
    return network.build(classes)


def build_learner(recipe: Recipe, stage: int, network: Network, counts: torch.Tensor) -> Learner:
    """Network, losses and companions of a stage; frozen where the stage says so.

    Args:
        recipe: of the run.
        stage: its number.
        network: see `build_network`.
        counts: (classes,) training photos of each class.

    Raises:
        RecipeInvalid: a loss or a companion cannot be made for this network.
    """
    torch.manual_seed(seed_of(recipe.seed, "stage", stage))
    spec = recipe.stages[stage]
    objective = spec.objective.build(classes=len(counts), dim=network.dim, counts=counts)
    companions: dict[str, nn.Module] = {one.kind: one.build(len(counts), network.channels) for one in spec.companions}
    network.backbone.requires_grad_(spec.train == "all")
    return Learner(network, objective, companions)


def next_learner(recipe: Recipe, stage: int, before: Learner, counts: torch.Tensor) -> Learner:
    """The learner of a stage that follows another: the same network, and class weights of losses that both have."""
    learner = build_learner(recipe, stage, before.network, counts)
    state, old = learner.objective.state_dict(), before.objective.state_dict()
    kept = {name: old[name] for name, value in state.items() if name in old and old[name].shape == value.shape}
    learner.objective.load_state_dict({**state, **kept})
    return learner


def load_state(learner: Learner, checkpoint: Checkpoint, *, average: bool = False) -> None:
    """Fill a learner from a checkpoint of the same stage.

    Args:
        learner: of the checkpoint's recipe and stage.
        checkpoint: read from disk.
        average: whether to take the average of its weights, where it has one.

    Raises:
        CheckpointInvalid: its tensors are those of another network.
    """
    try:
        learner.load_state_dict(checkpoint.weights if average else checkpoint.learner)
    except RuntimeError as error:
        raise CheckpointInvalid(f"the checkpoint's tensors do not fit the recipe: {error}") from error
