"""A run that starts from what an earlier one has learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from training.errors import CheckpointInvalid
from training.recipe import Recipe
from training.run.checkpoint import Checkpoint, load_checkpoint
from training.run.learner import Learner

__all__ = ["Started", "start_from"]

BACKBONE = "network.backbone."
OF_LABELS = ("network.classifier.", "objective.")
"""Modules that know one label from another; they are worth nothing to other labels, were they as many."""


@dataclass(frozen=True)
class Started:
    """What was taken of a checkpoint.

    Attributes:
        source: the checkpoint.
        recipe: that it was trained by.
        taken: how many tensors.
        fresh: module -> why it begins anew.
    """

    source: str
    recipe: str
    taken: int
    fresh: Mapping[str, str]

    def __str__(self) -> str:
        left = ", ".join(f"{name} ({why})" for name, why in self.fresh.items())
        return f"starting from {self.source} ({self.recipe}): " + (f"left fresh: {left}" if left else "all of it fits")


def start_from(learner: Learner, recipe: Recipe, labels: tuple[str, ...], path: Path) -> Started:
    """Fill the learner of a run's first stage from another run's checkpoint, with the average of weights if it has one.

    The backbone must be of the same kind, and all of it is taken. Of the rest those modules are taken whose tensors all
    have their namesakes' shapes; classifiers and losses only where the labels are the same, in the same order.
    Companions begin anew.

    Args:
        learner: of the run that begins.
        recipe: its recipe.
        labels: that it tells apart, in the order of its classes.
        path: the checkpoint.

    Raises:
        CheckpointInvalid: there is none, or it is of another kind of backbone.
    """
    checkpoint = load_checkpoint(path)
    _check_backbone(checkpoint, recipe, path)
    state, given = learner.state_dict(), checkpoint.weights
    fresh = _misfits(state, given, same_labels=checkpoint.classes == labels)
    kept = {
        name: given[name]
        for name in state
        if not name.startswith("companions.") and _module(name) not in fresh and name in given
    }
    if missing := [name for name in state if name.startswith(BACKBONE) and name not in kept]:
        raise CheckpointInvalid(
            f"{path} does not fit the backbone {recipe.network.backbone.name}: {missing[0].removeprefix(BACKBONE)} is "
            f"not there, or of another shape ({len(missing)} such); give it the options that it was trained with",
            file=str(path),
        )
    learner.load_state_dict({**state, **kept})
    return Started(str(path), str(checkpoint.recipe.get("name", "")), len(kept), fresh)


def _check_backbone(checkpoint: Checkpoint, recipe: Recipe, path: Path) -> None:
    there: Any = checkpoint.recipe.get("network", {}).get("backbone", {}).get("name", "")
    wanted = recipe.network.backbone.name
    # What follows the dot names weights, not the network.
    if there.split(".")[0] != wanted.split(".")[0]:
        raise CheckpointInvalid(
            f"network.weights: {path} is of a {there or 'network without a name'}, and the recipe's backbone is "
            f"{wanted}; take a checkpoint of that, or set network.backbone.name={there}",
            file=str(path),
        )


def _misfits(state: Mapping[str, Tensor], given: Mapping[str, Tensor], *, same_labels: bool) -> dict[str, str]:
    """Modules, backbone and companions apart, that cannot be taken over, and why."""
    found: dict[str, str] = {}
    for name, tensor in state.items():
        if name.startswith((BACKBONE, "companions.")):
            continue
        if name.startswith(OF_LABELS) and not same_labels:
            found[_module(name)] = "other labels"
        elif name not in given:
            found.setdefault(_module(name), "not there")
        elif given[name].shape != tensor.shape:
            found.setdefault(_module(name), f"{tuple(tensor.shape)} here, {tuple(given[name].shape)} there")
    return found


def _module(name: str) -> str:
    """Whose tensor it is: a layer is taken whole or not at all."""
    return name.rpartition(".")[0]
