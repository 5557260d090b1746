"""`whichone bundle`: the model that is in use, or in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import STYLE, AsJson, examples, settings_of

__all__ = ["app"]

app = typer.Typer(help="The model: what it is, and whether its files are whole.", **STYLE)

FolderOfBundle = Annotated[
    Path | None, typer.Argument(metavar="[FOLDER]", help="The bundle's folder; the one that ships if not given.")
]


@app.command("info", epilog=examples("whichone bundle info", "whichone bundle info my-bundle --json"))
def bundle_info(folder: FolderOfBundle = None, as_json: AsJson = False) -> None:
    """What the model is: backbone, licence, sizes, preprocessing, measured figures."""
    from service.commands.bundle import show_bundle

    show_bundle(folder or settings_of().bundle, as_json=as_json)


@app.command("verify", epilog=examples("whichone bundle verify", "whichone bundle verify my-bundle"))
def bundle_verify(folder: FolderOfBundle = None, as_json: AsJson = False) -> None:
    """Check every file of the bundle against its sha256, open its models, and embed a picture with each."""
    from service.commands.bundle import verify_bundle

    verify_bundle(folder or settings_of().bundle, as_json=as_json)
