"""Which verifier tells packages apart, and what does it cost? `python -m benchmarks.verifiers --local-features FOLDER`.

The gallery is one clean product picture of each of the grocery set's packages; asked are its validation photos of
packages, none of the test files. Labels are ranked by the shipped embeddings; the first few are compared with the query
by each verifier. Run it with OMP_NUM_THREADS=1: networks get one thread, as everything else has.

Folders that the learned verifiers need are made with `whichone export-local-features METHOD FOLDER/METHOD`.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar, get_args

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image

from embedding.bundle import Bundle
from embedding.embedder import Embedder
from index.background import Background
from index.items import Item
from index.pipeline import Pipeline, Ranking, Verification, VerifierName
from index.promotion import promote, to_verify
from index.ranking import RankedLabel
from index.recognizer import Recognizer
from index.verification import LocalFeatures, Match, Verifier, verifier_named

T = TypeVar("T")


@dataclass
class Timed:
    """Milliseconds of the processor that each call took: what other work the machine has does not count."""

    milliseconds: list[float] = field(default_factory=list)

    def __call__(self, work: Callable[[], T]) -> T:
        started = time.process_time()
        result = work()
        self.milliseconds.append(1000 * (time.process_time() - started))
        return result

    def __str__(self) -> str:
        return f"{np.median(self.milliseconds):.0f}"


@dataclass(frozen=True)
class Extracted:
    """Features of the gallery's photos and of the queries', and how long each took."""

    gallery: list[LocalFeatures]
    asked: list[LocalFeatures]
    each: Timed


@dataclass(frozen=True)
class Photos:
    """Labels, photos and embeddings (n, d)."""

    labels: list[str]
    images: list[Image.Image]
    vectors: NDArray[np.float32]


def main(
    data: Annotated[Path, typer.Option(help="Folder that holds grocery/.")] = Path("../shared/data"),
    local_features: Annotated[Path | None, typer.Option(help="Folder of the learned verifiers' folders.")] = None,
    queries: Annotated[int, typer.Option(help="Photos to ask about.")] = 120,
    candidates: Annotated[int, typer.Option(help="Gallery photos to compare each with.")] = 6,
    only: Annotated[str, typer.Option(help="Names of verifiers, with commas; else all there are.")] = "",
) -> None:
    """Print the table as Markdown."""
    names = only.split(",") if only else list(get_args(VerifierName))
    names = [name for name in names if name == "rootsift" or (local_features and (local_features / name).is_dir())]
    embedder = Embedder(Bundle.open(), threads=1)
    gallery = _read(embedder, data / "grocery", "iconic.csv", None)
    asked = _read(embedder, data / "grocery", "val.csv", queries)
    # One photo a label: every form of ranking is the cosine then.
    recognizer = Recognizer(
        embedder.dim,
        bundle_sha256=embedder.bundle.sha256,
        background=Background.of(embedder.bundle),
        pipeline=Pipeline(ranking=Ranking(aggregation="max")),
    )
    recognizer.upsert(
        [
            Item(number, str(number), label, vector, np.empty((0, embedder.dim), np.float32))
            for number, (label, vector) in enumerate(zip(gallery.labels, gallery.vectors, strict=True), 1)
        ]
    )
    rankings = [recognizer.rank(vector).labels for vector in asked.vectors]
    first = _share(asked, [ranked[0].label for ranked in rankings])
    reach = _share(asked, [_within(r[:candidates], label) for r, label in zip(rankings, asked.labels, strict=True)])
    typer.echo(
        f"{len(gallery.labels)} labels of one picture, {len(asked.labels)} queries; by embeddings {first:.3f} are "
        f"right, {reach:.3f} among the first {candidates}\n"
    )
    typer.echo("| verifier | top-1 | by matches alone | features a photo | ms a photo | ms a pair |")
    typer.echo("| --- " * 6 + "|")
    extracted: dict[str, Extracted] = {}  # verifiers that differ by their matcher alone share it
    for name in names:
        verifier = verifier_named(name, local_features, threads=1)
        if verifier.method not in extracted:
            extracted[verifier.method] = _extract(verifier, gallery, asked)
        row = _row(verifier, extracted[verifier.method], gallery.labels, asked, rankings, candidates=candidates)
        typer.echo(f"| {name} | {row} |")


def _extract(verifier: Verifier, gallery: Photos, asked: Photos) -> Extracted:
    each = Timed()
    of_gallery, of_asked = (
        # Through bytes, as a gallery keeps them.
        [LocalFeatures.from_bytes(each(partial(verifier.extract, image)).to_bytes()) for image in photos.images]
        for photos in (gallery, asked)
    )
    return Extracted(of_gallery, of_asked, each)


def _row(
    verifier: Verifier,
    known: Extracted,
    labels: Sequence[str],
    asked: Photos,
    rankings: Sequence[list[RankedLabel]],
    *,
    candidates: int,
) -> str:
    comparison = Timed()
    together, alone = [], []
    for query, ranked in zip(known.asked, rankings, strict=True):
        matches: dict[int, Match] = {}
        for number in to_verify(ranked, candidates):
            matches[number] = comparison(partial(verifier.match, query, known.gallery[number - 1]))
        together.append(promote(ranked, matches, Verification().weight)[0].label)
        # The more similar of equal ones: they stand in that order.
        best = max(matches.items(), key=lambda item: item[1].inliers)[0]
        alone.append(labels[best - 1])
    size = np.median([len(features) for features in known.gallery + known.asked])
    cells = (f"{_share(asked, together):.3f}", f"{_share(asked, alone):.3f}", f"{size:.0f}")
    return " | ".join([*cells, str(known.each), str(comparison)])


def _within(ranked: Sequence[RankedLabel], label: str) -> str:
    return label if any(entry.label == label for entry in ranked) else ""


def _share(asked: Photos, answers: Sequence[str]) -> float:
    return float(np.mean([label == answer for label, answer in zip(asked.labels, answers, strict=True)]))


def _read(embedder: Embedder, folder: Path, name: str, most: int | None) -> Photos:
    """Packages of a list: all, or some, spread evenly."""
    with (folder / name).open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["is_package"] == "1"]
    if most is not None and most < len(rows):
        rows = [rows[at] for at in np.linspace(0, len(rows) - 1, most).round().astype(int)]
    images = [embedder.decode((folder / row["path"]).read_bytes()) for row in rows]
    return Photos([row["label"] for row in rows], images, embedder.embed(images))


if __name__ == "__main__":
    typer.run(main)
