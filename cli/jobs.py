"""`whichone jobs`, `whichone worker`: imports in the background."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import STYLE, AsJson, Data, examples, settings_of

__all__ = ["app", "worker"]

app = typer.Typer(help="Imports in the background: POST /index/import makes them.", **STYLE)
worker = typer.Typer()

Id = Annotated[str, typer.Argument(metavar="ID", help="The job, by id.")]


@app.command("list", epilog=examples("whichone jobs list", "whichone jobs list --gallery shop"))
def jobs_list(
    data: Data = None,
    gallery: Annotated[
        str | None, typer.Option("--gallery", "-g", metavar="NAME", help="Of this gallery; of all, if not given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the newest jobs: how far they are."""
    from service.commands.jobs import list_jobs

    list_jobs(settings_of(data), gallery=gallery, as_json=as_json)


@app.command("show", epilog=examples("whichone jobs show 3f2a...", "whichone jobs show 3f2a... --json"))
def jobs_show(id_: Id, data: Data = None, as_json: AsJson = False) -> None:
    """How far a job is, and every photo that it could not add."""
    from service.commands.jobs import show_job

    show_job(settings_of(data), id_, as_json=as_json)


@app.command("cancel", epilog=examples("whichone jobs cancel 3f2a..."))
def jobs_cancel(id_: Id, data: Data = None, as_json: AsJson = False) -> None:
    """End a job, wherever it runs. What it added stays."""
    from service.commands.jobs import cancel_job

    cancel_job(settings_of(data), id_, as_json=as_json)


@worker.command(
    "worker", epilog=examples("whichone worker", "WHICHONE_RUN_JOBS=false whichone serve & whichone worker")
)
def run(data: Data = None) -> None:
    """Work on imports, without a server, beside servers on the same data folder. Ctrl-C stops it."""
    from service.commands.working import run_worker

    run_worker(settings_of(data))
