"""The demo's words for a person at a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from service.commands.recognition import verdict_cell, why
from service.commands.terminal import stdout
from service.demo.outcome import Outcome, summary_line
from service.settings import Settings

__all__ = ["print_outcomes", "print_server_lines"]


def print_outcomes(remarks: Sequence[str], outcomes: Sequence[Outcome], contact_sheet: Path) -> None:
    """What was real, the table of verdicts, the count, and where the picture is."""
    console = stdout()
    for remark in remarks:
        console.print(escape(remark))
    table = Table("photo", "", "truth", "verdict", "label", "confidence", "why")
    for outcome in outcomes:
        table.add_row(*_cells(outcome))
    console.print(table)
    console.print(summary_line(outcomes), style="bold")
    console.print(f"All queries with their verdicts in one picture: {contact_sheet}", markup=False)


def _cells(outcome: Outcome) -> list[str]:
    query, verdict = outcome.query, outcome.verdict
    return [
        f"{escape(query.path.name)} [dim]{query.kind}[/dim]",
        "[green]right[/green]" if outcome.right else "[red]wrong[/red]",
        escape(query.shows) if query.known else f"unknown [dim]({escape(query.shows)})[/dim]",
        verdict_cell(verdict.verdict),
        escape(verdict.label or ""),
        f"{verdict.confidence:.2f}",
        escape(why(verdict)),
    ]


def print_server_lines(settings: Settings, outcomes: Sequence[Outcome], key: str) -> None:
    """What to paste: ask about a photo, teach a stranger, ask about it again; and where the web pages are."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104  (compared)
    address = f"http://{reachable}:{settings.port or 'PORT'}"
    asked = next((one for one in outcomes if one.query.known), None)
    stranger = next((one for one in outcomes if not one.query.known), None)
    lines = []
    if asked:
        lines += ["Ask about a photo:", _recognize(address, asked, settings, key)]
    if stranger:
        teach = (
            f"curl -H {shlex.quote(f'X-API-Key: {key}')} -F label={shlex.quote(stranger.query.shows)} "
            f"-F images=@{shlex.quote(str(stranger.query.path.absolute()))} {address}/index"
        )
        again = next(
            (one for one in outcomes if one.query.shows == stranger.query.shows and one is not stranger), stranger
        )
        lines += ["Teach it a stranger, then ask about another photo of it:", teach]
        lines += [_recognize(address, again, settings, key)]
    if settings.console:
        lines += ["Or in a browser, with the same key where one is asked for:", f"{address}/console/"]
    for line in lines:
        stdout().print(line if line.endswith(":") else f"  {line}", markup=False, soft_wrap=True)


def _recognize(address: str, outcome: Outcome, settings: Settings, key: str) -> str:
    needs_key = not settings.on_loopback and not settings.open_recognize
    header = f"-H {shlex.quote(f'X-API-Key: {key}')} " if needs_key else ""
    return f"curl {header}-F image=@{shlex.quote(str(outcome.query.path.absolute()))} {address}/recognize"
