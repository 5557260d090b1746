"""`whichone serve`, `recognize`, `explain`, `demo`: the server, and photos asked about."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from cli.options import AsJson, Data, Gallery, examples, settings_of

__all__ = ["app"]

app = typer.Typer()


class ServeCommand(TyperCommand):
    """`serve`, whose help also lists every setting."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        from service.commands.serving import print_settings

        print_settings()


@app.command(
    cls=ServeCommand,
    epilog=examples("whichone serve", "WHICHONE_PORT=9000 whichone serve", "whichone serve --data shop --workers 4"),
)
def serve(
    data: Data = None,
    host: Annotated[str | None, typer.Option(help="Address. [dim]Else WHICHONE_HOST, else 127.0.0.1.[/dim]")] = None,
    port: Annotated[int | None, typer.Option(help="Port. [dim]Else WHICHONE_PORT, else 8000.[/dim]")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Server processes. [dim]Else WHICHONE_WORKERS, else 1.[/dim]")
    ] = None,
) -> None:
    """Start the server. Ctrl-C stops it."""
    from service.commands.serving import run_server

    run_server(settings_of(data, host=host, port=port, workers=workers))


@app.command(
    epilog=examples(
        "whichone recognize photo.jpg",
        "whichone recognize *.jpg --json",
        "whichone recognize photo.jpg --json --explain > receipt.json",
        'whichone recognize shelf.jpg --box "0.2,0.1,0.6,0.9"',
        "whichone recognize room.jpg --search inside    [dim]# the thing is small in the photo[/dim]",
        "whichone recognize photo.jpg --label espresso --label lungo --where store=12",
    )
)
def recognize(
    photos: Annotated[
        list[Path], typer.Argument(metavar="PHOTO...", help="Photos to ask about; - reads one from stdin.")
    ],
    data: Data = None,
    gallery: Gallery = "default",
    top_k: Annotated[int, typer.Option(min=1, max=100, help="Most candidates to report.")] = 5,
    box: Annotated[
        str | None, typer.Option(metavar="X0,Y0,X1,Y1", help="Only this part of the photo, in pixels or 0..1.")
    ] = None,
    search: Annotated[
        str, typer.Option(metavar="HOW", help="whole, or inside: five parts of the photo too, six times as long.")
    ] = "whole",
    label: Annotated[
        list[str] | None, typer.Option("--label", "-l", help="Ask about this label alone; repeat it for several.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Ask about items alone whose metadata has this; repeat it for more. 12 and true are a number and a "
            "truth value, '\"12\"' is the text.",
        ),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="With --json: a receipt, for whichone explain.")] = False,
    as_json: AsJson = False,
) -> None:
    """Which known thing does each photo show, or none of them? Works on the data folder, without a server."""
    from service.commands.recognition import recognize_photos

    recognize_photos(
        settings_of(data),
        photos,
        gallery=gallery,
        top_k=top_k,
        box=box,
        search=search,
        explain=explain,
        as_json=as_json,
        labels=label or (),
        where=where or (),
    )


@app.command(
    epilog=examples(
        "whichone recognize photo.jpg --json --explain > receipt.json",
        "whichone explain receipt.json",
        "whichone explain receipt.json --photo photo.jpg --draw matches.png",
    )
)
def explain(
    receipt: Annotated[Path, typer.Argument(metavar="RECEIPT.json", help="A receipt, or an answer that has one.")],
    photo: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The photo that was asked about, to start from its bytes.")
    ] = None,
    draw: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw what it has in common with the best candidate's photo.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a verdict again from its receipt: from its own numbers, then from the gallery and the photo, if there.

    Exit code 0: the same verdict. 1: it is not. 2: this is no receipt.
    """
    from service.commands.explanation import explain_receipt

    if not explain_receipt(settings_of(data), receipt, photo=photo, draw=draw, as_json=as_json):
        raise typer.Exit(1)


@app.command(epilog=examples("whichone demo", "whichone demo --photos my-photos", "whichone demo --no-serve --json"))
def demo(
    photos: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Your own photos, one sub-folder a label.")
    ] = None,
    data: Data = None,
    host: Annotated[str | None, typer.Option(help="Address for the server.")] = None,
    port: Annotated[int | None, typer.Option(help="Port for the server.")] = None,
    server: Annotated[bool, typer.Option("--serve/--no-serve", help="Leave the server running afterwards.")] = True,
    as_json: AsJson = False,
) -> None:
    """Build a gallery of real photographs, ask about others, show the verdicts, then serve it all."""
    from service.demo.run import run_demo

    run_demo(settings_of(data, host=host, port=port), photos=photos, server=server, as_json=as_json)
