"""`whichone adapt`: what the verb does; the options are `cli`'s."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from embedding.bundle import SHIPPED, Bundle
from training.adapt.adapting import VIEWS, Adapted, adapt_bundle
from training.adapt.choosing import ERRORS, MAY_FALL, Method, Outcome
from training.adapt.trial import Figures
from training.commands.progress import progress_bar

__all__ = ["adapt"]

WIDTH_OF_A_PIPE = 120
COLUMNS = ("seen labels, R@1", "unseen labels, R@1", "open set, AUROC")


def adapt(
    data: str,
    bundle: str,
    out: Path,
    *,
    method: Method = "auto",
    name: str | None = None,
    version: str = "1",
    views: int = VIEWS,
    cache: Path | None = None,
    as_json: bool = False,
) -> Adapted:
    """Adapt a bundle to photos; progress on stderr, a table of what was tried, and the outcome, on stdout.

    Args:
        data: see `training.data.listing.read_listing`.
        bundle: folder, or `default` for the one that ships.
        out: folder of the new bundle; not written where nothing is better than the old one.
        method, name, version, views, cache: see `training.adapt.adapting.adapt_bundle`.
        as_json: one JSON document instead of the table.

    Raises:
        WhichoneError: see `training.adapt.adapting.adapt_bundle`.
    """
    old = Bundle.open(SHIPPED if bundle == "default" else Path(bundle))
    with progress_bar() as progress:
        adapted = adapt_bundle(
            data, old, out, method=method, name=name, version=version, views=views, cache=cache, progress=progress
        )
    if as_json:
        print(json.dumps(_facts(adapted, old), ensure_ascii=False, allow_nan=False, indent=2))
    else:
        _print(adapted, old, out)
    return adapted


def _facts(adapted: Adapted, old: Bundle) -> dict[str, Any]:
    return {
        "adapted": adapted.bundle is not None,
        "from": old.id,
        "bundle": adapted.bundle and adapted.bundle.id,
        "folder": adapted.bundle and str(adapted.bundle.folder),
        "chosen": adapted.chosen and adapted.chosen.candidate.name,
        "photos": adapted.photos,
        "labels": adapted.labels,
        "before": _defined(adapted.before),
        "tried": [
            {
                "name": one.candidate.name,
                "after": _defined(one.mean),
                "gains": _defined(one.gains),
                "mean_gain": one.gain,
                "standard_error": one.error,
                "better": one.is_better,
            }
            for one in adapted.outcomes
        ],
    }


def _defined(figures: Figures) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in asdict(figures).items()}


def _print(adapted: Adapted, old: Bundle, out: Path) -> None:
    console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else WIDTH_OF_A_PIPE)
    console.print(f"{adapted.photos} photos of {adapted.labels} labels; means over folds of labels and photos")
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for name in COLUMNS:
        table.add_column(name, justify="right")
    table.add_column("mean gain", justify="right")
    table.add_row(f"{old.id}, as it is", *(_number(value) for value in adapted.before.values()), "")
    for one in adapted.outcomes:
        table.add_row(one.candidate.name, *_cells(one), style="bold green" if one is adapted.chosen else None)
    console.print(table)
    console.print(_sentence(adapted, old, out), markup=False, soft_wrap=True)


def _cells(one: Outcome) -> list[str]:
    pairs = zip(one.mean.values(), one.gains.values(), strict=True)
    return [*(f"{_number(value)} ({gain:+.3f})" for value, gain in pairs), f"{one.gain:+.3f} ± {one.error:.3f}"]


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _sentence(adapted: Adapted, old: Bundle, out: Path) -> str:
    if adapted.bundle is None or adapted.chosen is None:
        return (
            f"Nothing tried is better than {old.id} without hurting what was not fitted on (no figure may fall by more "
            f"than {MAY_FALL:g}, and the mean must rise by {ERRORS:g} standard error): the bundle stays as it is, and "
            f"{out} was not written."
        )
    return (
        f"{adapted.bundle.id} in {adapted.bundle.folder}: {adapted.chosen.candidate.name}. "
        f"Galleries of {old.id} must be embedded again to use it."
    )
