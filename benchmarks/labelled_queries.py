"""How many labelled queries say more than the gallery's own photos? `python -m benchmarks.labelled_queries`.

Validation queries only, without verification. Labels are halved: queries are drawn from one half to calibrate on, and
all of the other half are asked, so that no label is judged by its own photos. What `feedback` gives a server.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from scipy.special import logit

from embedding.bundle import Bundle
from embedding.embedder import Embedder
from index.background import Background
from index.evaluation.embeddings import embed_photos
from index.evaluation.manifest import Photo, fingerprint, load_parts
from index.evaluation.metrics import auroc, expected_calibration_error
from index.items import Item
from index.labelled import LabelledQueries
from index.pipeline import Pipeline, Verification
from index.recognizer import Recognizer
from index.tuner import tune

BUDGET = 0.05
DRAWS = 10
NUMBERS = (0, 8, 16, 32, 64, 128)


def main(
    data: Annotated[Path, typer.Option(help="Folder that holds grocery/ and omniglot/.")] = Path("../shared/data"),
    draws: Annotated[int, typer.Option(help="Drawings of halves and queries.")] = DRAWS,
) -> None:
    """Print the table as Markdown."""
    typer.echo(
        "| set | labelled queries | log loss | ECE | AUROC | top-1 | false accepts at 5 % | accepted and right |"
    )
    typer.echo("| --- " * 8 + "|")
    for name in ("grocery", "omniglot"):
        recognizer, queries, vectors = _gallery(data / name)
        rows = {
            number: [_judged(recognizer, queries, vectors, number, draw) for draw in range(draws)] for number in NUMBERS
        }
        for number, judged in rows.items():
            means = np.mean(judged, axis=0)
            typer.echo(f"| {name} | {number or 'none'} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")


def _judged(
    recognizer: Recognizer, queries: tuple[Photo, ...], vectors: NDArray[np.float32], number: int, draw: int
) -> tuple[float, ...]:
    """Log loss, ECE, AUROC, top-1, false accepts, accepted and right, of the half that was not drawn from."""
    random = np.random.default_rng(draw)
    labels = sorted({photo.label for photo in queries})
    mine = set(random.permutation(labels)[: len(labels) // 2].tolist())
    half = np.array([photo.label in mine for photo in queries])
    drawn = random.permutation(np.flatnonzero(half))[:number]
    labelled = LabelledQueries(vectors[drawn], [queries[at].label or "" for at in drawn]) if number else None
    recognizer.tuning = tune(recognizer, far_budget=BUDGET, labelled=labelled)
    asked = np.flatnonzero(~half)
    verdicts = recognizer.recognize(vectors[asked], top_k=1)
    held = recognizer.labels()
    truths = [queries[at].label for at in asked]
    known = np.array([truth in held for truth in truths])
    right = np.array([verdict.candidates[0].label == truth for verdict, truth in zip(verdicts, truths, strict=True)])
    right &= known
    accepted = np.array([verdict.verdict == "known" for verdict in verdicts])
    confidence = np.array([verdict.confidence for verdict in verdicts])
    signs = np.where(right, 1, -1)
    loss = np.logaddexp(0, -signs * logit(np.clip(confidence, 1e-3, 1 - 1e-3))).mean()
    return (
        float(loss),
        expected_calibration_error(confidence, right),
        auroc(confidence[right], confidence[~known]),
        float(right[known].mean()),
        float(accepted[~known].mean()),
        float((accepted & right)[known].mean()),
    )


def _gallery(folder: Path) -> tuple[Recognizer, tuple[Photo, ...], NDArray[np.float32]]:
    bundle = Bundle.open()
    embedder = Embedder(bundle)
    manifest = fingerprint(
        load_parts(
            gallery=folder / "openset_gallery.csv",
            queries=folder / "openset_queries_val.csv",
            distractors=folder / "openset_distractors.csv",
        )
    )
    cache = Path("reports") / f"quality-{folder.name}-{bundle.sha256[:12]}.npz"
    vectors = embed_photos(manifest.photos, [], embedder, views=0, cache=cache)
    recognizer = Recognizer(
        embedder.dim,
        bundle_sha256="",
        background=Background.of(bundle),
        pipeline=Pipeline(verification=Verification(mode="off")),
    )
    none = np.empty((0, embedder.dim), np.float32)
    recognizer.upsert(
        [
            Item(at, str(at), photo.label if photo.role == "gallery" else None, vectors.own[photo.sha256], none)
            for at, photo in enumerate(manifest.gallery + manifest.distractors)
        ]
    )
    return recognizer, manifest.queries, vectors.of(manifest.queries, embedder.dim)


if __name__ == "__main__":
    typer.run(main)
