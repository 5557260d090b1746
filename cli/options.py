"""What the verbs share: their style, the options that several have, and the settings they begin with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from service.settings import Settings

__all__ = ["STYLE", "AsJson", "Cache", "Data", "Gallery", "ManifestOut", "examples", "settings_of"]

STYLE: dict[str, Any] = {
    "rich_markup_mode": "rich",
    "no_args_is_help": True,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}

Data = Annotated[
    Path | None,
    typer.Option(
        "--data", "-d", metavar="FOLDER", help="Data folder. [dim]Else WHICHONE_DATA, else whichone-data.[/dim]"
    ),
]
Gallery = Annotated[str, typer.Option("--gallery", "-g", metavar="NAME", help="Which gallery.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Cache = Annotated[Path | None, typer.Option(metavar="NPZ", help="Keep embeddings here between runs.")]
ManifestOut = Annotated[Path, typer.Option(metavar="CSV", help="The manifest to write.")]


def examples(*lines: str) -> str:
    """An epilog with one example a line."""
    return "[b]Examples[/b]\n\n" + "\n\n".join(f"[cyan]{line}[/cyan]" for line in lines)


def settings_of(data: Path | None = None, **overrides: Any) -> Settings:
    """The environment's settings, with the command line's on top."""
    from service.settings import Settings

    return Settings.load(data=data, **overrides)
