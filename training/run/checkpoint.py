"""All that a run needs to go on, or a network to be used, in one file: tensors and JSON, no code.

The file is torch's zip of tensors, read with ``weights_only=True``. Random states are not in it: every step has its own
seed (`training.run.seeds`), so the position alone says what comes next.
"""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.errors import CheckpointInvalid
from training.run.files import write_whole

__all__ = ["Checkpoint", "Position", "load_checkpoint", "save_checkpoint"]

FORMAT = 1


@dataclass(frozen=True, order=True)
class Position:
    """What the next step of a run is.

    Attributes:
        stage, epoch: from 0; the epoch is counted within the stage.
        step: optimiser steps already taken in the epoch.
        total: optimiser steps already taken in the run.
    """

    stage: int = 0
    epoch: int = 0
    step: int = 0
    total: int = 0


@dataclass(frozen=True)
class Checkpoint:
    """A run at one moment.

    Attributes:
        recipe: as JSON-able data (`training.recipe.Recipe.model_validate` reads it).
        classes: labels in the order of the network's classes.
        counts: training photos of each class.
        data: fingerprint of the photos that it was trained on.
        preprocess: how photos are served to it.
        stage: that it was trained in last; its losses and companions are those of this stage.
        position: what comes next.
        learner: state of network, losses and companions, names beginning with `network.`, `objective.`, `companions.`.
        average: the moving average of the same; None without one.
        averaged: updates that went into the average.
        optimiser, scaler: their states; None in a checkpoint that is only for use.
        history: metrics after each epoch so far.
        best: the selected metric's best value so far.
    """

    recipe: Mapping[str, Any]
    classes: tuple[str, ...]
    counts: tuple[int, ...]
    data: str
    preprocess: Mapping[str, Any]
    stage: int
    position: Position
    learner: dict[str, Tensor]
    average: dict[str, Tensor] | None = None
    averaged: int = 0
    optimiser: dict[str, Any] | None = None
    scaler: dict[str, Any] | None = None
    history: tuple[Mapping[str, Any], ...] = ()
    best: float | None = None
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def weights(self) -> dict[str, Tensor]:
        """The state to use: the average where there is one."""
        return self.learner if self.average is None else self.average


_TENSORS = ("learner", "average", "optimiser", "scaler")


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write it whole, or leave the file from before.

    Raises:
        RunFailed: it cannot be written.
    """
    facts = {name: value for name, value in _shallow(checkpoint).items() if name not in _TENSORS and name != "position"}
    facts["position"] = asdict(checkpoint.position)
    content = {name: getattr(checkpoint, name) for name in _TENSORS}
    content |= {"format": FORMAT, "facts": json.dumps(facts)}
    write_whole(path, lambda file: torch.save(content, file))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, on the CPU; nothing in it is run.

    Raises:
        CheckpointInvalid: there is none, it is not whole, or it is of another format.
    """
    if not path.is_file():
        raise CheckpointInvalid(f"{path}: there is no such checkpoint", file=str(path))
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise CheckpointInvalid(f"{path} is no checkpoint of format {FORMAT}", file=str(path))
        facts = json.loads(content["facts"])
        facts["position"] = Position(**facts["position"])
        for name in ("classes", "counts", "history"):
            facts[name] = tuple(facts[name])
        return Checkpoint(**facts, **{name: content[name] for name in _TENSORS})
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        zipfile.BadZipFile,
    ) as error:
        raise CheckpointInvalid(f"{path} is no whole checkpoint: {error}", file=str(path)) from error


def _shallow(checkpoint: Checkpoint) -> dict[str, Any]:
    """Fields by name, tensors as they are."""
    return {name: getattr(checkpoint, name) for name in checkpoint.__dataclass_fields__}
