"""`whichone index`: the photos to recognise from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import STYLE, AsJson, Data, Gallery, examples, settings_of

__all__ = ["app"]

app = typer.Typer(help="The photos to recognise from, and the index made of them.", **STYLE)


@app.command(
    "add",
    epilog=examples(
        "whichone index add cup1.jpg cup2.jpg --label cup",
        "whichone index add my-photos            [dim]# one sub-folder a label[/dim]",
        "whichone index add photos.csv           [dim]# columns path,label; external_id,metadata if you like[/dim]",
        "whichone index add photos.zip           [dim]# one folder a label, or an items.csv in it[/dim]",
        "whichone index add shelves/ --distractors",
    ),
)
def index_add(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Photos, folders, zips, or CSVs with path,label.")
    ],
    label: Annotated[str | None, typer.Option("--label", "-l", help="What all these photos show.")] = None,
    distractors: Annotated[bool, typer.Option("--distractors", help="The photos show nothing of the gallery.")] = False,
    data: Data = None,
    gallery: Gallery = "default",
    as_json: AsJson = False,
) -> None:
    """Add photos to a gallery. The same photo and label twice is one item. One that cannot be used stops no other."""
    from service.commands.adding import add_photos

    add_photos(settings_of(data), paths, gallery=gallery, label=label, distractors=distractors, as_json=as_json)


@app.command("remove", epilog=examples("whichone index remove 3f2a...", "whichone index remove --label cup"))
def index_remove(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Items, by id.")] = None,
    label: Annotated[str | None, typer.Option("--label", "-l", help="Every item of this label.")] = None,
    data: Data = None,
    gallery: Gallery = "default",
    as_json: AsJson = False,
) -> None:
    """Remove items, by id or by label."""
    from service.commands.gallery import remove_items

    remove_items(settings_of(data), ids or [], gallery=gallery, label=label, as_json=as_json)


@app.command(
    "list",
    epilog=examples("whichone index list", "whichone index list --label cup", "whichone index list --galleries"),
)
def index_list(
    label: Annotated[str | None, typer.Option("--label", "-l", help="The items of this label.")] = None,
    galleries: Annotated[bool, typer.Option("--galleries", help="The galleries instead.")] = False,
    data: Data = None,
    gallery: Gallery = "default",
    as_json: AsJson = False,
) -> None:
    """List the labels of a gallery, the items of one label, or the galleries."""
    from service.commands.gallery import list_galleries, list_items, list_labels

    settings = settings_of(data)
    if galleries:
        list_galleries(settings, as_json=as_json)
    elif label is not None:
        list_items(settings, gallery=gallery, label=label, as_json=as_json)
    else:
        list_labels(settings, gallery=gallery, as_json=as_json)


@app.command(
    "build",
    epilog=examples(
        "whichone index build",
        "whichone index build --gallery shop",
        "whichone index build --engine ivf          [dim]# lists; sooner from 100,000 photos on[/dim]",
        "whichone index build --engine hnsw,sq8,refine",
        "whichone index build --engine hnsw,pca=256,sq8,refine  [dim]# a graph along the leading directions[/dim]",
        "whichone index build --engine ivf,pq=64,refine",
    ),
)
def index_build(
    engine: Annotated[
        str | None,
        typer.Option("--engine", help="flat, ivf, hnsw, gpu or milvus, with parameters; auto; as the last if none."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Also if it breaks pins.")] = False,
    data: Data = None,
    gallery: Gallery = "default",
    as_json: AsJson = False,
) -> None:
    """Write the gallery as a new generation and serve from it, unless it breaks pins."""
    from service.commands.generations import build

    build(settings_of(data), gallery=gallery, engine=engine, force=force, as_json=as_json)


@app.command(
    "pin",
    epilog=examples("whichone index pin cup-again.jpg --label cup", "whichone index pin stranger.jpg --unknown"),
)
def index_pin(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="The photo to ask about.")],
    label: Annotated[str | None, typer.Option("--label", "-l", help="What it must be known as.")] = None,
    unknown: Annotated[bool, typer.Option("--unknown", help="It must not be known.")] = False,
    data: Data = None,
    gallery: Gallery = "default",
    as_json: AsJson = False,
) -> None:
    """Pin a photo: no generation is built any more that answers it otherwise."""
    from service.commands.pins import add_pin

    add_pin(settings_of(data), photo, gallery=gallery, label=label, unknown=unknown, as_json=as_json)


@app.command("pins", epilog=examples("whichone index pins"))
def index_pins(data: Data = None, gallery: Gallery = "default", as_json: AsJson = False) -> None:
    """List the pins of a gallery; whichone index verify asks about them."""
    from service.commands.pins import list_pins

    list_pins(settings_of(data), gallery=gallery, as_json=as_json)


@app.command("unpin", epilog=examples("whichone index unpin 3f2a..."))
def index_unpin(
    id_: Annotated[str, typer.Argument(metavar="ID", help="The pin, by id.")],
    data: Data = None,
    gallery: Gallery = "default",
    as_json: AsJson = False,
) -> None:
    """Remove a pin."""
    from service.commands.pins import remove_pin

    remove_pin(settings_of(data), id_, gallery=gallery, as_json=as_json)


@app.command(
    "advise",
    epilog=examples(
        "whichone index advise",
        "whichone index advise --items 5e6 --memory 8G --p95 10ms --recall 0.99",
    ),
)
def index_advise(
    items: Annotated[str | None, typer.Option("--items", help="Photos there will be; as now if none.")] = None,
    memory: Annotated[str | None, typer.Option("--memory", help="Most that searches may go through, as 8G.")] = None,
    p95: Annotated[str | None, typer.Option("--p95", help="Time for 95 of 100 searches, as 10ms.")] = None,
    recall: Annotated[float, typer.Option("--recall", help="Recall@10 against exact search.")] = 0.99,
    data: Data = None,
    gallery: Gallery = "default",
    as_json: AsJson = False,
) -> None:
    """Measure engines on a sample of the gallery, and say which to take; about a minute."""
    from service.commands.advising import advise_engine

    advise_engine(
        settings_of(data), gallery=gallery, items=items, memory=memory, p95=p95, recall=recall, as_json=as_json
    )


@app.command("refresh", epilog=examples("whichone index refresh"))
def index_refresh(data: Data = None, gallery: Gallery = "default", as_json: AsJson = False) -> None:
    """Extract local features for photos that have none: added by an older version, or while verification was off."""
    from service.commands.gallery import refresh

    refresh(settings_of(data), gallery=gallery, as_json=as_json)


@app.command("verify", epilog=examples("whichone index verify"))
def index_verify(data: Data = None, gallery: Gallery = "default", as_json: AsJson = False) -> None:
    """Check a gallery: its generations (files, counts, recall against exact search), its photos, its pins."""
    from service.commands.generations import verify

    verify(settings_of(data), gallery=gallery, as_json=as_json)


@app.command(
    "export",
    epilog=examples(
        "whichone index export shop.whichone --gallery shop",
        "whichone index export shop-12.whichone --gallery shop --generation 12 --no-photos",
    ),
)
def index_export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    number: Annotated[
        int | None, typer.Option("--generation", min=1, help="Which; the one in use, if not given.")
    ] = None,
    photos: Annotated[bool, typer.Option(help="With the photos themselves, and the pins.")] = True,
    data: Data = None,
    gallery: Gallery = "default",
    as_json: AsJson = False,
) -> None:
    """Write a generation as one file, to be imported on another machine."""
    from service.commands.transfer import export_generation

    export_generation(settings_of(data), file, gallery=gallery, number=number, photos=photos, as_json=as_json)


@app.command("import", epilog=examples("whichone index import shop.whichone --gallery shop"))
def index_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What whichone index export wrote.")],
    engine: Annotated[str | None, typer.Option("--engine", help="As of index build; the file's, if none.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Publish it also if it breaks its pins.")] = False,
    data: Data = None,
    gallery: Gallery = "default",
    as_json: AsJson = False,
) -> None:
    """Take an exported generation in as a gallery that is new or empty, and serve it."""
    from service.commands.transfer import import_generation

    import_generation(settings_of(data), file, gallery=gallery, engine=engine, force=force, as_json=as_json)


@app.command("rollback", epilog=examples("whichone index rollback", "whichone index rollback 12"))
def index_rollback(
    number: Annotated[int | None, typer.Argument(metavar="[NUMBER]", help="The one before, if not given.")] = None,
    data: Data = None,
    gallery: Gallery = "default",
    as_json: AsJson = False,
) -> None:
    """Serve an older generation, exactly as it was, until the next build."""
    from service.commands.generations import roll_back

    roll_back(settings_of(data), number, gallery=gallery, as_json=as_json)
