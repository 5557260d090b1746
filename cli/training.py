"""`whichone data`, `train`, `export` and `adapt`: from photos to a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer

from cli.extras import from_extra
from cli.options import STYLE, AsJson, examples

__all__ = ["app", "data_app"]

T = TypeVar("T")

app = typer.Typer()
data_app = typer.Typer(help="The photos to train on.", **STYLE)

SOURCES = (
    "A CSV or Parquet file with path,label and optionally split,box,weight; a folder, one sub-folder a label; "
    "or SET:FOLDER for a public set, with the sets of protocol read."
)


@app.command(
    epilog=examples(
        "whichone train --list",
        "whichone train omniglot --data characters.csv --out runs/first",
        "whichone train omniglot --data my-photos --out runs/short --set stages.0.epochs=3 --set seed=1",
        "whichone train --data my-photos --out runs/short --resume",
        "whichone train my-recipe.yaml --show --set network.backbone.name=resnet50",
        "accelerate launch -m training.commands.train omniglot --data my-photos --out runs/two    "
        "[dim]# several GPUs[/dim]",
    )
)
def train(
    recipe: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE", help="A YAML file, or the name of one that ships; with --resume the run's own."
        ),
    ] = None,
    data: Annotated[str | None, typer.Option("--data", metavar="SOURCE", help=f"The photos. {SOURCES}")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="The run's folder: checkpoints, log, curves, worst mistakes."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Change a value of the recipe; repeatable."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --out, as if it had never stopped.")
    ] = False,
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="Where to train; auto is the GPU where there is one.")
    ] = "auto",
    shipped: Annotated[bool, typer.Option("--list", help="List the recipes that ship, and do no more.")] = False,
    show: Annotated[
        bool, typer.Option("--show", help="Print the whole recipe as YAML, defaults filled in, and do no more.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a network on labelled photos, as a recipe says. Ctrl-C stops it with a checkpoint to go on from."""
    # What is missing is said before torch is loaded, which takes seconds.
    if shipped:
        with from_extra("train"):
            from training.commands.train import list_recipes
        list_recipes(as_json=as_json)
    elif show:
        name = _needed(recipe, "RECIPE", "which recipe is to be shown?")
        with from_extra("train"):
            from training.commands.train import show_recipe
        show_recipe(name, changes or ())
    else:
        source = _needed(data, "--data", "where are the photos?")
        folder = _needed(out, "--out", "where does the run's folder go?")
        with from_extra("train"):
            from training.commands.train import train_recipe
        train_recipe(recipe, source, folder, changes=changes or (), resume=resume, device=device, as_json=as_json)


@app.command(
    epilog=examples(
        "whichone export runs/first/checkpoints/best.pt my-bundle --name characters",
        "whichone export runs/first/checkpoints/best.pt my-bundle --name shop --photos photos.csv --half",
        "WHICHONE_BUNDLE=my-bundle whichone serve",
    )
)
def export(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="Of a run: checkpoints/best.pt.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The bundle's folder; new, or empty.")],
    name: Annotated[str, typer.Option(help="Of the bundle.")],
    version: Annotated[str, typer.Option(help="Of the bundle; another one for every change.")] = "1",
    license_: Annotated[
        str, typer.Option("--license", metavar="SPDX", help="Of the weights, as an SPDX expression.")
    ] = "LicenseRef-unstated",
    views: Annotated[
        list[str] | None,
        typer.Option(
            "--view", metavar="VIEW", help="A view of a photo to embed; repeatable, averaged. Else the recipe's."
        ),
    ] = None,
    scores: Annotated[
        bool | None, typer.Option("--scores/--no-scores", help="Class scores, too; else as the recipe says.")
    ] = None,
    photos: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Compare the graph with the network on these. Else on photos of packages."),
    ] = None,
    distractors: Annotated[
        str | None, typer.Option(metavar="SOURCE", help="Photos of things that nobody enrols, to learn from.")
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Store weights as float16: half the size.")] = False,
    int8: Annotated[bool, typer.Option("--int8", help="An int8 model, too; its embeddings are others.")] = False,
    fixed_size: Annotated[
        bool, typer.Option("--fixed-size", help="A graph for photos of one size; some networks have no other.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a bundle of a trained network: the model that the server loads, checked against the network on photos."""
    with from_extra("train"):
        from training.commands import export as making

    wanted = making.Wanted(
        name=name,
        version=version,
        license=license_,
        views=tuple(views) if views else None,
        scores=scores,
        photos=photos,
        distractors=distractors,
        half=half,
        int8=int8,
        any_size=not fixed_size,
    )
    making.export(checkpoint, out, wanted, as_json=as_json)


@app.command(
    "export-local-features",
    epilog=examples(
        "whichone export-local-features xfeat local-features/xfeat",
        "whichone export-local-features aliked-lightglue local-features/aliked-lightglue --layers 5",
        "whichone export-local-features hardnet local-features/hardnet --weights checkpoint_liberty_with_aug.pth",
        "whichone export-local-features hessaffnet local-features/hessaffnet --weights checkpoint_liberty_with_aug.pth "
        "--shape-weights AffNet.pth",
        "WHICHONE_LOCAL_FEATURES=local-features WHICHONE_VERIFIER=xfeat whichone serve",
    ),
)
def export_local_features(
    method: Annotated[
        Literal[
            "aliked",
            "aliked-lightglue",
            "disk",
            "disk-lightglue",
            "hardnet",
            "hessaffnet",
            "xfeat",
            "xfeat-lightglue",
        ],
        typer.Argument(
            metavar="METHOD", help="aliked, disk or xfeat, each alone or with -lightglue; or hardnet, hessaffnet."
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder to make; new, or empty. Named as METHOD.")],
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Weights of what finds features. Else those of an installed package."),
    ] = None,
    matcher_weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights of LightGlue. Else those of an installed package.")
    ] = None,
    shape_weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Weights of AffNet, which hessaffnet needs besides HardNet's.")
    ] = None,
    orientation_weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Weights of OriNet, for hessaffnet. Else the dominant gradient."),
    ] = None,
    size: Annotated[int, typer.Option(help="Side in pixels that photos are shrunk to, a multiple of 32.")] = 384,
    most: Annotated[int | None, typer.Option(help="Features of a photo; else as many as have room in 64 kB.")] = None,
    layers: Annotated[int | None, typer.Option(help="Of LightGlue; fewer are faster. Else all.")] = None,
    license_: Annotated[
        str | None, typer.Option("--license", metavar="SPDX", help="Of weights that you give, as an SPDX expression.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the files of a learned verifier: its networks as the server runs them, checked against torch on photos."""
    with from_extra("local-features"):
        from training.commands import local_features as making

    request = making.Request(
        method=method,
        weights=weights,
        matcher_weights=matcher_weights,
        shape_weights=shape_weights,
        orientation_weights=orientation_weights,
        size=size,
        most=most,
        layers=layers,
        license=license_,
    )
    making.export(request, out, as_json=as_json)


@app.command(
    epilog=examples(
        "whichone adapt photos.csv my-bundle",
        "whichone adapt my-photos my-bundle --method whitening --name shop",
        "WHICHONE_BUNDLE=my-bundle whichone serve",
    )
)
def adapt(
    data: Annotated[str, typer.Argument(metavar="SOURCE", help=f"Labelled photos. {SOURCES}")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The new bundle's folder; new, or empty.")],
    bundle: Annotated[
        str, typer.Option(metavar="FOLDER", help="The bundle to adapt; default is the one that ships.")
    ] = "default",
    method: Annotated[
        Literal["auto", "whitening", "head"],
        typer.Option(help="A closed form, a learned head, or whatever proves best."),
    ] = "auto",
    name: Annotated[str | None, typer.Option(help="Of the new bundle; else made of the old one's.")] = None,
    version: Annotated[str, typer.Option(help="Of the new bundle.")] = "1",
    cache: Annotated[
        Path | None, typer.Option(metavar="NPZ", help="Keep what is computed of photos, for another try.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fit a bundle to a few hundred photos of one's own, without a GPU and without training the network.

    Tried on labels it has seen and on labels it has not; where nothing is better than the bundle as it is, nothing is
    written, and it says so.
    """
    with from_extra("train"):
        from training.commands.adapt import adapt as run

    run(data, bundle, out, method=method, name=name, version=version, cache=cache, as_json=as_json)


@data_app.command(
    "check",
    epilog=examples(
        "whichone data check my-photos",
        "whichone data check photos.csv --plot histogram.png",
        "whichone data check humpback-whale:whales --json",
    ),
)
def data_check(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help=SOURCES)],
    plot: Annotated[Path | None, typer.Option(metavar="PNG", help="Also draw how many photos the labels have.")] = None,
    as_json: AsJson = False,
) -> None:
    """Find what spoils a training: unreadable photos, the same photo twice, labels with one photo.

    Exit code 0: fit to train on. 1: something is to be mended first. 2: the list cannot be used.
    """
    with from_extra("train"):
        from training.commands.data import check

    try:
        fit = check(source, as_json=as_json, plot=plot)
    except OSError as error:
        if plot is None:
            raise
        raise typer.BadParameter(f"{plot} cannot be written: {error.strerror}", param_hint="--plot") from error
    if not fit:
        raise typer.Exit(1)


def _needed(value: T | None, name: str, question: str) -> T:
    """What only some uses of a verb can do without."""
    if value is None:
        raise typer.BadParameter(question, param_hint=name)
    return value
