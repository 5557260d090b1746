"""`whichone doctor`, `version`, `migrate`: what is installed, and its database."""

from __future__ import annotations

import typer

from cli.options import AsJson, Data, examples, settings_of

__all__ = ["app"]

app = typer.Typer()


@app.command(epilog=examples("whichone doctor", "whichone doctor --json"))
def doctor(data: Data = None, as_json: AsJson = False) -> None:
    """What is installed, what works, and what to do about what does not. Exit code 1 if something does not."""
    from service.commands.doctor import show_findings

    if show_findings(settings_of(data), as_json=as_json):
        raise typer.Exit(1)


@app.command(epilog=examples("whichone version"))
def version(as_json: AsJson = False) -> None:
    """The version of Whichone."""
    from service.commands.doctor import show_version

    show_version(as_json=as_json)


@app.command(epilog=examples("whichone migrate", "WHICHONE_DATABASE_URL=postgresql://... whichone migrate"))
def migrate(data: Data = None) -> None:
    """Bring the database up to date, and end. Servers do so as they start, too."""
    from service.commands.migrating import migrate

    migrate(settings_of(data))
