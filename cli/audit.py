"""`whichone audit`: who changed what."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import STYLE, AsJson, Data, examples, settings_of

__all__ = ["app"]

app = typer.Typer(**STYLE)


@app.command(
    "audit",
    epilog=examples(
        "whichone audit", "whichone audit --gallery shop --since 24h", "whichone audit --action published --json"
    ),
)
def audit(
    gallery: Annotated[
        str | None, typer.Option("--gallery", "-g", metavar="NAME", help="Changes of this gallery.")
    ] = None,
    action: Annotated[str | None, typer.Option(metavar="ACTION", help="Changes of this kind: items_added, ...")] = None,
    actor: Annotated[
        str | None, typer.Option(metavar="NAME", help="Changes by this key, or by command, server or open.")
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="How far back: 24h, 90d, or 2027-01-31.")] = None,
    most: Annotated[int, typer.Option("--limit", "-n", min=1, help="Changes to show.")] = 100,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show the administrative changes, newest first: when, who, what."""
    from service.commands.audit import show_audit

    show_audit(settings_of(data), gallery=gallery, action=action, actor=actor, since=since, most=most, as_json=as_json)
