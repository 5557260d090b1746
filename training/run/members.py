"""The members of an ensemble, trained one after the other.

<out>/<recipe>/...      a run each
<out>/ensemble.json     which checkpoints answer together, and how
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from training.recipe import Recipe, with_overrides
from training.recipes.ensemble import Ensemble, Member
from training.run.accelerating import Device
from training.run.files import write_text_whole
from training.run.folder import RunFolder
from training.run.loop import Result, train
from training.run.reporting import Reporter

__all__ = ["checkpoint_of_member", "train_members"]


def train_members(
    ensemble: Ensemble,
    source: str | Path,
    out: Path,
    *,
    changes: Iterable[str] = (),
    device: Device = "auto",
    resume: bool = False,
    reporter: Reporter | None = None,
) -> list[Result]:
    """Train every recipe of an ensemble once.

    Args:
        ensemble: whose members.
        source: photos, the same for all.
        out: folder of their folders.
        changes: to every recipe, each `path=value`.
        device: where.
        resume: whether to go on where it was interrupted; what is finished is left as it is.
        reporter: told what happens.

    Raises:
        WhichoneError: see `training.run.loop.train`.
    """
    chosen = list(changes)
    recipes = {name: with_overrides(recipe, chosen) for name, recipe in ensemble.recipes().items()}
    results = [
        train(
            recipe,
            source,
            _folder(out, name),
            device=device,
            resume=resume and RunFolder(_folder(out, name)).last.exists(),
            reporter=reporter,
        )
        for name, recipe in recipes.items()
    ]
    members = [
        {
            "recipe": member.recipe,
            "stage": member.stage,
            "checkpoint": checkpoint_of_member(out, member, recipes[member.recipe]).relative_to(out).as_posix(),
        }
        for member in ensemble.members
    ]
    facts = {"name": ensemble.name, "combine": ensemble.combine, "members": members}
    write_text_whole(out / "ensemble.json", json.dumps(facts, indent=2) + "\n")
    return results


def checkpoint_of_member(out: Path, member: Member, recipe: Recipe) -> Path:
    """Where a member's network lies once it is trained."""
    folder = RunFolder(_folder(out, member.recipe))
    if member.stage is None:
        return folder.best if folder.best.exists() else folder.last
    number = [stage.name for stage in recipe.stages].index(member.stage)
    return folder.stage_end(number, member.stage)


def _folder(out: Path, name: str) -> Path:
    return out / Path(name).with_suffix("").name
