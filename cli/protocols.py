"""`whichone protocol`: manifests for evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import STYLE, AsJson, Cache, ManifestOut, examples, settings_of

__all__ = ["app"]

app = typer.Typer(help="Manifests for evaluate: made of your photos, or read of a public set.", **STYLE)


@app.command(
    "make",
    epilog=examples(
        "whichone protocol make few-shot --photos my-photos --k 5 --calibrate 0.3 --out few.csv",
        "whichone protocol make held-out --photos photos.csv --unknown 0.2 --stratify shelf --out open.csv",
        "whichone protocol make time --photos photos.csv --column taken --until 2024-05-31 --out time.csv",
        "whichone protocol make cross-set --photos photos.csv --distractors streets.csv --out cross.csv",
        "whichone evaluate open.csv",
    ),
)
def protocol_make(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="few-shot, one-shot, held-out, time or cross-set.")],
    photos: Annotated[
        Path, typer.Option(metavar="PATH", help="A CSV with path,label,..., or a folder, one sub-folder a label.")
    ],
    out: ManifestOut,
    k: Annotated[int, typer.Option("--k", min=1, help="Photos of each label to enrol.")] = 5,
    unknown: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of labels that are strangers. [dim]0.2; cross-set 0.5[/dim]"),
    ] = None,
    distractor: Annotated[float, typer.Option(min=0, max=1, help="held-out: share of labels as distractors.")] = 0.2,
    stratify: Annotated[str, typer.Option(metavar="COLUMN", help="held-out: the same shares of each value.")] = "",
    column: Annotated[str, typer.Option(metavar="COLUMN", help="time: says when a photo was taken.")] = "",
    until: Annotated[str, typer.Option(metavar="WHEN", help="time: the last moment to enrol.")] = "",
    share: Annotated[float, typer.Option(min=0, max=1, help="time: share to enrol, without --until.")] = 0.5,
    calibrate: Annotated[
        float, typer.Option(min=0, max=1, help="Share of what is asked about that calibrates instead.")
    ] = 0.0,
    distractors: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Photos of neither, in any kind; the other set of cross-set.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed and photos, the same manifest.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Make a manifest: who is enrolled, who is asked about, who is a stranger.

    [b]few-shot[/b] enrols k photos of each label and asks about the others. [b]one-shot[/b] enrols one.

    [b]held-out[/b] makes whole labels unknown, others distractors.

    [b]time[/b] enrols what came first and asks about what came later.

    [b]cross-set[/b] takes strangers and distractors from another set.
    """
    from service.commands.protocols import ProtocolOptions, make_protocol

    options = ProtocolOptions(
        photos=photos,
        distractors=distractors,
        k=k,
        unknown=unknown,
        distractor=distractor,
        stratify=stratify,
        column=column,
        until=until,
        share=share,
        calibrate=calibrate,
        seed=seed,
    )
    make_protocol(kind, options, out, as_json=as_json)


@app.command(
    "read",
    epilog=examples(
        "whichone protocol read google-landmarks gldv2 --out gldv2.csv",
        "whichone evaluate gldv2.csv --official google-landmarks",
        "whichone protocol read grocery-store GroceryStoreDataset --out grocery.csv",
    ),
)
def protocol_read(
    name: Annotated[
        str,
        typer.Argument(
            metavar="SET",
            help="google-landmarks, humpback-whale, aliproducts, class-folders, stanford-products or grocery-store.",
        ),
    ],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the set lies, in its official layout.")],
    out: ManifestOut,
    as_json: AsJson = False,
) -> None:
    """Read a public set that you have: its official split as a manifest."""
    from service.commands.protocols import read_protocol

    read_protocol(name, folder, out, as_json=as_json)


@app.command(
    "recall",
    epilog=examples("whichone protocol recall products.csv", "whichone protocol recall my-photos --at 1,5 --json"),
)
def protocol_recall(
    photos: Annotated[
        Path, typer.Argument(metavar="PATH", help="A CSV with path,label, or a folder, one sub-folder a label.")
    ],
    at: Annotated[str, typer.Option(metavar="K,...", help="How many nearest photos to look at.")] = "1,10,100,1000",
    cache: Cache = None,
    as_json: AsJson = False,
) -> None:
    """Is a photo of the same label among the nearest others? The measure of Stanford Online Products."""
    from service.commands.protocols import measure_recall

    if not all(part.strip().isdigit() and int(part) > 0 for part in at.split(",")):
        raise typer.BadParameter(f"{at!r} is no list of numbers above 0, such as 1,10,100", param_hint="--at")
    measure_recall(photos, [int(part) for part in at.split(",")], settings_of(None), cache=cache, as_json=as_json)
