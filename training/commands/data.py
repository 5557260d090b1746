"""`whichone data check`: what is wrong with a list of photos."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from training.commands.progress import progress_bar
from training.data.check import Group, Problem, Report, check_data
from training.data.histogram import histogram_png, sizes_of
from training.data.listing import read_listing

__all__ = ["check"]

LISTED = 20
"""How many offenders of a kind are shown; --json gives all."""

WIDTH_OF_A_PIPE = 150
WIDTH_OF_A_BAR = 40


def check(source: str, *, as_json: bool = False, plot: Path | None = None) -> bool:
    """Read a list and its photos, and print what was found on stdout.

    Args:
        source: see `training.data.listing.read_listing`.
        as_json: print one JSON document with everything instead.
        plot: where to write a PNG of the photos of each label.

    Returns:
        Whether nothing was found that spoils a training (`Report.spoils`).

    Raises:
        WhichoneError: the list cannot be used.
        OSError: the plot cannot be written.
    """
    photos = read_listing(source)
    with progress_bar() as progress:
        report = check_data(photos, progress)
    if plot:
        plot.parent.mkdir(parents=True, exist_ok=True)
        plot.write_bytes(histogram_png(list(_totals(report).values())))
    if as_json:
        print(json.dumps(report.as_json(), ensure_ascii=False, allow_nan=False, indent=2))
    else:
        _print(
            report, Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else WIDTH_OF_A_PIPE)
        )
    return not report.spoils


def _totals(report: Report) -> dict[str, int]:
    """Photos of each label, without the strangers."""
    return {label: sum(parts.values()) for label, parts in report.counts.items() if label}


def _print(report: Report, console: Console) -> None:
    totals = _totals(report)
    strangers = sum(report.counts.get("", {}).values())
    console.print(
        f"{report.photos} photos, {len(totals)} labels" + (f", {strangers} without a label" * bool(strangers))
    )
    _print_parts(report, console)
    _print_sizes(totals, console)
    _print_problems("cannot be read", report.unreadable, console)
    _print_problems("show nothing", report.unusable, console)
    _print_groups("the same bytes", report.exact, console)
    _print_groups("nearly the same picture", report.near, console)
    _print_names("labels have one photo to train on", report.one_photo, console)
    console.print("[red]Mend the list before training.[/red]" if report.spoils else "[green]Fit to train on.[/green]")


def _print_parts(report: Report, console: Console) -> None:
    parts: dict[str, int] = {}
    for own in report.counts.values():
        for part, count in own.items():
            parts[part] = parts.get(part, 0) + count
    if set(parts) != {""}:
        console.print(
            "by split: " + ", ".join(f"{part or 'not said'} {count}" for part, count in sorted(parts.items()))
        )


def _print_sizes(totals: dict[str, int], console: Console) -> None:
    sizes = sizes_of(list(totals.values()))
    table = Table(box=None, pad_edge=False, title_justify="left")
    for name, justify in (("photos of a label", "left"), ("labels", "right"), ("photos", "right"), ("", "left")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    most = max((one.labels for one in sizes), default=1)
    for one in sizes:
        table.add_row(one.name, str(one.labels), str(one.photos), "█" * _bar(one.labels, most))
    console.print(table)
    ordered = sorted(totals, key=lambda label: (-totals[label], label))
    if ordered:
        first, last = ordered[0], ordered[-1]
        console.print(f"most: {first} ({totals[first]}); least: {last} ({totals[last]})", markup=False)


def _bar(count: int, most: int) -> int:
    """Cells of a bar; what is there is seen."""
    return max(round(WIDTH_OF_A_BAR * count / most), min(count, 1))


def _print_problems(what: str, problems: Sequence[Problem], console: Console) -> None:
    _heading(len(problems), f"photos {what}", console)
    for one in problems[:LISTED]:
        console.print(f"  {one.where or one.name}: {one.name}: {one.why}", markup=False, soft_wrap=True)
    _rest(problems, console)


def _print_groups(what: str, groups: Sequence[Group], console: Console) -> None:
    # Those that do harm first.
    ordered = sorted(groups, key=lambda one: (-one.across_labels, -one.across_parts))
    _heading(len(groups), f"groups of photos are {what}", console, harm=any(map(_harm, groups)))
    for one in ordered[:LISTED]:
        members = ", ".join(
            f"{name} ({label or 'no label'}{', ' * bool(part)}{part})"
            for name, label, part in zip(one.names, one.labels, one.parts, strict=True)
        )
        console.print(f"  {_harm(one)}{escape(members)}", soft_wrap=True)
    _rest(ordered, console)


def _harm(group: Group) -> str:
    kinds = ["across labels"] * group.across_labels + ["across splits"] * group.across_parts
    return f"[red]{' and '.join(kinds)}:[/red] " if kinds else ""


def _print_names(what: str, names: Sequence[str], console: Console) -> None:
    _heading(len(names), what, console, harm=False)
    if names:
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        console.print(f"  {', '.join(names[:LISTED])}{more}", markup=False, soft_wrap=True)


def _heading(count: int, what: str, console: Console, *, harm: bool = True) -> None:
    colour = "green" if not count else "red" if harm else "yellow"
    console.print(f"[{colour}]{count or 'no'}[/{colour}] {what}")


def _rest(things: Sequence[Any], console: Console) -> None:
    if len(things) > LISTED:
        console.print(f"  and {len(things) - LISTED} more; --json lists all")
