"""`whichone feedback`: what photos that were asked about really show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import STYLE, AsJson, Data, Gallery, examples, settings_of

__all__ = ["app"]

app = typer.Typer(help="What photos that were asked about really show: galleries learn from it.", **STYLE)


@app.command(
    "add",
    epilog=examples(
        "whichone feedback add photo.jpg --label cup",
        "whichone feedback add strangers/ --unknown",
        "whichone feedback add asked.csv            [dim]# columns path,label: questions as they came[/dim]",
        "whichone feedback add --recognition 5d1c... --label cup",
    ),
)
def feedback_add(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH]...", help="Photos, folders, zips, or CSVs with path,label.")
    ] = None,
    label: Annotated[str | None, typer.Option("--label", "-l", help="What all of it shows.")] = None,
    unknown: Annotated[bool, typer.Option("--unknown", help="It shows nothing of the gallery.")] = False,
    recognition: Annotated[
        str | None,
        typer.Option("--recognition", help="In place of photos: the id of an answer, if WHICHONE_KEEP_QUERIES is set."),
    ] = None,
    data: Data = None,
    gallery: Gallery = "default",
    as_json: AsJson = False,
) -> None:
    """Say what photos show. They are not enrolled: from some dozens on, the gallery's confidence is fitted on them."""
    from service.commands.feedback import add_feedback, judge_recognition

    settings = settings_of(data)
    if recognition is not None:
        judge_recognition(
            settings, recognition, paths or [], gallery=gallery, label=label, unknown=unknown, as_json=as_json
        )
    else:
        add_feedback(settings, paths or [], gallery=gallery, label=label, unknown=unknown, as_json=as_json)


@app.command("list", epilog=examples("whichone feedback list", "whichone feedback list --gallery shop --json"))
def feedback_list(data: Data = None, gallery: Gallery = "default", as_json: AsJson = False) -> None:
    """List what was said, newest first, and whether it is enough to learn from."""
    from service.commands.feedback import list_feedback

    list_feedback(settings_of(data), gallery=gallery, as_json=as_json)


@app.command("remove", epilog=examples("whichone feedback remove 3f2a..."))
def feedback_remove(
    id_: Annotated[str, typer.Argument(metavar="ID", help="What was said, by id.")],
    data: Data = None,
    gallery: Gallery = "default",
    as_json: AsJson = False,
) -> None:
    """Take a word back."""
    from service.commands.feedback import remove_feedback

    remove_feedback(settings_of(data), id_, gallery=gallery, as_json=as_json)
