"""`whichone train`: what the verb does; the options are `cli`'s.

`python -m training.commands.train` takes the same options, for `accelerate launch` and `torchrun`, which start a module
in several processes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from rich.console import Console

from embedding.errors import WhichoneError
from training.errors import RecipeInvalid
from training.recipe import Recipe, load_recipe
from training.recipes.documents import read_document, recipe_path, shipped_recipes
from training.recipes.ensemble import is_ensemble, load_ensemble
from training.run.accelerating import Device
from training.run.loop import Result, train
from training.run.members import train_members
from training.run.reporting import ConsoleReporter

__all__ = ["list_recipes", "show_recipe", "train_recipe"]

MISTAKE = 2


def train_recipe(
    recipe: str | None,
    data: str,
    out: Path,
    *,
    changes: Sequence[str] = (),
    resume: bool = False,
    device: Device = "auto",
    as_json: bool = False,
) -> list[Result]:
    """Train a recipe, or every member of an ensemble, with progress on stderr and the outcome on stdout.

    Args:
        recipe: path, or name of one that ships; None with `resume` takes the one in the run's folder.
        data: photos, see `training.data.listing.read_listing`.
        out: the run's folder.
        changes: each `path=value`.
        resume: go on with the run in `out`.
        device: where.
        as_json: a line of JSON a run instead of a sentence.

    Raises:
        WhichoneError: see `training.run.loop.train`.
    """
    with ConsoleReporter() as reporter:
        if recipe is not None and is_ensemble(recipe):
            ensemble = load_ensemble(recipe)
            results = train_members(
                ensemble, data, out, changes=changes, device=device, resume=resume, reporter=reporter
            )
        else:
            chosen = _recipe(recipe, out, changes, resume=resume)
            results = [train(chosen, data, out, device=device, resume=resume, reporter=reporter)]
    for result in results:
        print(json.dumps(_facts(result)) if as_json else _sentence(result))
    return results


def list_recipes(*, as_json: bool = False) -> None:
    """Names and descriptions of the recipes that ship, on stdout."""
    recipes = [(name, str(read_document(recipe_path(name)).get("description", ""))) for name in shipped_recipes()]
    if as_json:
        print(json.dumps([{"name": name, "description": description} for name, description in recipes]))
        return
    for name, description in recipes:
        Console().print(f"[b]{name}[/b]  {description}", highlight=False, soft_wrap=True)


def show_recipe(recipe: str, changes: Sequence[str] = ()) -> None:
    """The whole recipe as YAML, defaults filled in, on stdout; an ensemble as it is written.

    Raises:
        RecipeInvalid: there is none, or it cannot be used.
    """
    if is_ensemble(recipe):
        load_ensemble(recipe)
        print(recipe_path(recipe).read_text(encoding="utf-8"), end="")
    else:
        print(load_recipe(recipe, changes).yaml(), end="")


def _recipe(recipe: str | None, out: Path, changes: Sequence[str], *, resume: bool) -> Recipe:
    if recipe is not None:
        return load_recipe(recipe, changes)
    if not resume:
        raise RecipeInvalid("Which recipe? Without --resume one must be named; whichone train --list shows what ships.")
    return load_recipe(out / "recipe.yaml", changes)


def _facts(result: Result) -> dict[str, Any]:
    return {
        "recipe": result.recipe,
        "folder": str(result.folder),
        "best": str(result.best),
        "last": str(result.last),
        "select": result.select,
        "metrics": dict(result.metrics),
        "steps": result.steps,
        "seconds": round(result.seconds, 1),
    }


def _sentence(result: Result) -> str:
    value = result.metrics.get(result.select)
    figure = "" if value is None else f", {result.select} {value:.4f}"
    curves = result.folder / "curves.png"
    return f"{result.best}{figure}; {result.steps} steps in all, {result.seconds:.0f} s; curves in {curves}"


def main(arguments: Sequence[str] | None = None) -> int:
    """For processes that a launcher starts; a mistake is one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m training.commands.train")
    parser.add_argument("recipe", nargs="?")
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", dest="changes")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--device", choices=get_args(Device), default="auto")
    parser.add_argument("--json", action="store_true", dest="as_json")
    given = vars(parser.parse_args(arguments))
    try:
        train_recipe(given.pop("recipe"), given.pop("data"), given.pop("out"), **given)
    except WhichoneError as error:
        print(error.message, file=sys.stderr)
        return MISTAKE
    return 0


if __name__ == "__main__":
    sys.exit(main())
