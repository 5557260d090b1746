"""`whichone serve`: the server, and the list of its settings."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from service.commands.terminal import stdout
from service.settings import PREFIX, Settings

__all__ = ["print_settings", "run_server"]


def run_server(settings: Settings) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Raises:
        WhichoneError: it cannot start.
    """
    from service.server import run  # noqa: PLC0415  (--help needs the settings alone, at once)

    run(settings)


def print_settings() -> None:
    """Every setting with its default and meaning, from the settings themselves."""
    table = Table("variable", "default", "meaning", title="Settings (environment variables)", title_justify="left")
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None or field.is_required() or field.default_factory else str(field.default)
        table.add_row(f"{PREFIX}{name.upper()}", escape(default), escape(field.description or ""))
    stdout().print(table)
