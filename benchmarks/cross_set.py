"""Does a calibration travel? `python -m benchmarks.cross_set [--data ../shared/data]`

Each set's gallery is asked its test queries with the weights and the threshold that the *other* set's labelled queries
gave. Everything else, adaptation and verification too, is the gallery's own. With its own calibration: `quality.py`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.quality import OPEN_SET, TITLES, quality_cache
from embedding.bundle import Bundle
from embedding.embedder import Embedder
from index.evaluation.answers import Answers
from index.evaluation.contestant import Contestant
from index.evaluation.embeddings import embed_photos
from index.evaluation.kept import Embeddings
from index.evaluation.manifest import Manifest, fingerprint, load_parts
from index.evaluation.scoring import score
from index.pipeline import Pipeline
from index.tuning import Tuning
from index.verification import RootSiftVerifier

SETS = ("grocery", "omniglot")


def main(
    data: Annotated[Path, typer.Option(help="Folder that holds grocery/ and omniglot/.")] = Path("../shared/data"),
    far_budget: Annotated[float, typer.Option(help="False-accept budget.")] = 0.05,
) -> None:
    """Print the table as Markdown."""
    embedder = Embedder(Bundle.open())
    labelled = {name: _manifest(data / name) for name in SETS}
    known = {name: _known(name, labelled[name], embedder) for name in SETS}
    tunings: dict[str, Tuning] = {}
    for name in SETS:
        with Contestant(labelled[name], embedder, known[name], Pipeline()) as contestant:
            tunings[name] = contestant.tune(far_budget)
    typer.echo(f"| set, calibrated | {' | '.join(TITLES[key] for key in OPEN_SET)} |")
    typer.echo("| --- " * (len(OPEN_SET) + 1) + "|")
    for name, other in zip(SETS, reversed(SETS), strict=True):
        with Contestant(labelled[name], embedder, known[name], Pipeline()) as contestant:
            foreign = tunings[name].body.model_copy(update={"calibration": tunings[other].calibration})
            asked = contestant.ask(replace(tunings[name], body=foreign))
            answers = Answers(labelled[name].queries, asked.answers, foreign.calibration.threshold)
            figures = score(answers, far_budget=far_budget, bootstrap=0)
            cells = " | ".join(f"{figures[key].value:.3f}" for key in OPEN_SET)
            typer.echo(f"| {name}, by {other}'s | {cells} |")


def _manifest(folder: Path) -> Manifest:
    return fingerprint(
        load_parts(
            gallery=folder / "openset_gallery.csv",
            queries=folder / "openset_queries_test.csv",
            calibrate=folder / "openset_queries_val.csv",
            distractors=folder / "openset_distractors.csv",
        )
    )


def _known(name: str, manifest: Manifest, embedder: Embedder) -> Embeddings:
    return embed_photos(
        manifest.photos,
        [],
        embedder,
        views=0,
        with_local=manifest.gallery + manifest.queries + manifest.calibrate,
        verifier=RootSiftVerifier(),
        with_defects=manifest.queries,
        cache=quality_cache(name, embedder),
    )


if __name__ == "__main__":
    typer.run(main)
