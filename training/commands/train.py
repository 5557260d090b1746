"""`whichone train`: what the verb does; the options are `cli`'s.

`python -m training.commands.train` takes the same options, for `accelerate launch` and `torchrun`, which start a module in
several processes.
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
from training.recipes.documents import shipped_recipes
from training.run.accelerating import Device
from training.run.loop import Result, train
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
) -> Result:
    """Train, with progress on stderr and the outcome on stdout.

    Args:
        recipe: path, or name of one that ships; None with `resume` takes the one in the run's folder.
        data: photos, see `training.data.listing.read_listing`.
        out: the run's folder.
        changes: each `path=value`.
        resume: go on with the run in `out`.
        device: where.
        as_json: the outcome as JSON instead of a sentence.

    Raises:
        WhichoneError: see `training.run.loop.train`.
    """
    chosen = _recipe(recipe, out, changes, resume=resume)
    with ConsoleReporter() as reporter:
        result = train(chosen, data, out, device=device, resume=resume, reporter=reporter)
    if as_json:
        print(json.dumps(_facts(chosen, result)))
    else:
        value = result.metrics.get(chosen.select)
        figure = "" if value is None else f", {chosen.select} {value:.4f}"
        print(f"{result.best}{figure}; {result.steps} steps, {result.seconds:.0f} s; curves in {out / 'curves.png'}")
    return result


def list_recipes(*, as_json: bool = False) -> None:
    """Names and descriptions of the recipes that ship, on stdout."""
    recipes = [(name, load_recipe(name).description) for name in shipped_recipes()]
    if as_json:
        print(json.dumps([{"name": name, "description": description} for name, description in recipes]))
        return
    for name, description in recipes:
        Console().print(f"[b]{name}[/b]  {description}", highlight=False)


def show_recipe(recipe: str, changes: Sequence[str] = ()) -> None:
    """The whole recipe as YAML, defaults filled in, on stdout.

    Raises:
        RecipeInvalid: there is none, or it cannot be used.
    """
    print(load_recipe(recipe, changes).yaml(), end="")


def _recipe(recipe: str | None, out: Path, changes: Sequence[str], *, resume: bool) -> Recipe:
    if recipe is not None:
        return load_recipe(recipe, changes)
    if not resume:
        raise RecipeInvalid("Which recipe? Without --resume one must be named; whichone train --list shows what ships.")
    return load_recipe(out / "recipe.yaml", changes)


def _facts(recipe: Recipe, result: Result) -> dict[str, Any]:
    return {
        "recipe": recipe.name,
        "folder": str(result.folder),
        "best": str(result.best),
        "last": str(result.last),
        "select": recipe.select,
        "metrics": dict(result.metrics),
        "steps": result.steps,
        "seconds": round(result.seconds, 1),
    }


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
