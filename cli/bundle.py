"""`whichone bundle`: the model that is in use, or in a folder, or made of several."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.extras import from_extra
from cli.options import STYLE, AsJson, examples, settings_of

__all__ = ["app"]

app = typer.Typer(help="The model: what it is, whether its files are whole, several as one.", **STYLE)

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


@app.command(
    "join",
    epilog=examples(
        "whichone bundle join default my-bundle --out both",
        "whichone bundle join one two three --out joined --weights 2,1,1 --name shop",
        "whichone bundle join one two --out small --dim 512 --photos photos.csv",
        "WHICHONE_BUNDLE=both whichone serve",
    ),
)
def bundle_join(
    bundles: Annotated[
        list[str], typer.Argument(metavar="FOLDER...", help="The bundles; default is the one that ships.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The new bundle's folder; new, or empty.")],
    weights: Annotated[
        str | None, typer.Option(metavar="W,...", help="What each one's cosine counts; else all the same.")
    ] = None,
    dim: Annotated[
        int | None,
        typer.Option("--dim", min=1, metavar="D", help="Fewer numbers a photo; the directions are found on --photos."),
    ] = None,
    photos: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Compare with the members on these. Else on photos of packages."),
    ] = None,
    name: Annotated[str, typer.Option(help="Of the new bundle.")] = "joined",
    version: Annotated[str, typer.Option(help="Of the new bundle; another one for every change.")] = "1",
    license_: Annotated[
        str | None, typer.Option("--license", metavar="SPDX", help="As an SPDX expression. Else all the members'.")
    ] = None,
    half: Annotated[bool, typer.Option("--half/--full", help="Store weights as float16: half the size.")] = True,
    as_json: AsJson = False,
) -> None:
    """Make one bundle of several: its cosines are the weighted mean of theirs, its class scores their mean probability.

    The members' networks all run for every photo: the cost is their sum.
    """
    with from_extra("train"):
        from training.commands import join as joining

    wanted = joining.Joining(
        name=name,
        version=version,
        license=license_,
        weights=None if weights is None else _numbers(weights, "--weights"),
        dim=dim,
        photos=photos,
        half=half,
    )
    joining.join(bundles, out, wanted, as_json=as_json)


def _numbers(text: str, option: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no list of numbers, such as 2,1,1", param_hint=option) from None
