"""`whichone evaluate`: how good it is on photos of your own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson, Cache, examples, settings_of

__all__ = ["app"]

app = typer.Typer()


@app.command(
    epilog=examples(
        "whichone evaluate manifest.csv",
        "whichone evaluate --gallery g.csv --queries q.csv --calibrate c.csv --distractors d.csv",
        "whichone evaluate manifest.csv --by shelf --report out/report.html --cache out/kept.npz",
        "whichone evaluate manifest.csv --ablation --plots out/plots",
        'whichone evaluate manifest.csv --compare bare.json   [dim]# such as {"adaptation": {"wccn": "off"}}[/dim]',
    )
)
def evaluate(
    manifest: Annotated[
        Path | None, typer.Argument(metavar="[MANIFEST]", help="One CSV with path,label,is_known,role.")
    ] = None,
    gallery: Annotated[Path | None, typer.Option(metavar="CSV", help="path,label: what to enrol.")] = None,
    queries: Annotated[Path | None, typer.Option(metavar="CSV", help="path,label,is_known: what to ask about.")] = None,
    calibrate: Annotated[
        Path | None, typer.Option(metavar="CSV", help="path,label,is_known: what to set the threshold by.")
    ] = None,
    distractors: Annotated[Path | None, typer.Option(metavar="CSV", help="path,label: photos of neither.")] = None,
    far_budget: Annotated[
        float | None, typer.Option(min=0.0001, max=0.9999, help="False-accept rate to set the threshold for.")
    ] = None,
    by: Annotated[str, typer.Option(metavar="COLUMN", help="Also split the figures by this column.")] = "",
    labels: Annotated[
        Path | None, typer.Option(metavar="CSV", help="A CSV with label and that column, if the queries lack it.")
    ] = None,
    report: Annotated[
        Path, typer.Option(metavar="HTML", help="Where the report goes; its JSON lies beside it.")
    ] = Path("reports/evaluation.html"),
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no report.")] = False,
    plots: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Also write the plots as PNG files.")] = None,
    cache: Cache = None,
    compare: Annotated[
        list[Path] | None,
        typer.Option(metavar="JSON", help="Pipelines to compare: a document, or names and documents; repeatable."),
    ] = None,
    ablation: Annotated[bool, typer.Option("--ablation", help="Compare every part alone, on and off.")] = False,
    official: Annotated[
        str, typer.Option(metavar="SET", help="Also the official figures of this public set; see protocol read.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """How well does it tell known from unknown, on your photos? Beside a plain nearest-neighbour yardstick.

    Roles: [b]gallery[/b] is enrolled, [b]query[/b] is asked about,

    [b]calibrate[/b] sets confidence and threshold (without any, the gallery does so itself),

    [b]distractor[/b] shows nothing of the gallery. is_known is 1 where the gallery has the label.

    Paths are relative to their CSV. A photo that serves two roles is refused.
    """
    from service.commands.evaluation import EvaluationFiles, run_evaluation

    settings = settings_of(None)
    files = EvaluationFiles(
        manifest=manifest,
        gallery=gallery,
        queries=queries,
        calibrate=calibrate,
        distractors=distractors,
        labels_csv=labels,
        report=None if no_report else report,
        cache=cache,
        plots=plots,
        compare=tuple(compare or ()),
        official=official,
    )
    budget = settings.far_budget if far_budget is None else far_budget
    run_evaluation(files, settings, far_budget=budget, group_column=by, ablation=ablation, as_json=as_json)
