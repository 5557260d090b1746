"""Would the confidence gain by knowing more? `python -m benchmarks.further_measures [--data ../shared/data]`

The number of photos that the best label has, and how much detail the query has, as fifth measures beside the four that
ship; each by itself and both. Galleries are thinned, one to all photos a label at random, so that numbers differ.
Validation queries only, labels in five folds, each judged by what was fitted on the others; ten drawings of thinning
and folds. Free signs for the further measures: nobody knows which way they should count.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from embedding.bundle import Bundle
from embedding.embedder import Embedder
from embedding.images import decode
from embedding.quality import detail_of
from index.evaluation.embeddings import embed_photos
from index.evaluation.kept import Embeddings
from index.evaluation.manifest import Manifest, Photo, fingerprint, load_parts
from index.evaluation.metrics import auroc, expected_calibration_error
from index.items import Item
from index.labelled import LabelledQueries
from index.recognizer import Recognizer
from index.simulation import Asked, Simulation, samples_of
from index.tuner import tune

Floats = NDArray[np.float64]
DRAWS = 10
FURTHER = {"four measures": (), "and photos of the label": (0,), "and detail of the query": (1,), "and both": (0, 1)}


def main(
    data: Annotated[Path, typer.Option(help="Folder that holds grocery/ and omniglot/.")] = Path("../shared/data"),
) -> None:
    """Print the table as Markdown."""
    typer.echo("| set | measures | log loss | AUROC | ECE |")
    typer.echo("| --- " * 5 + "|")
    for name in ("grocery", "omniglot"):
        rows: dict[str, list[tuple[float, ...]]] = {title: [] for title in FURTHER}
        embedder = Embedder(Bundle.open())
        manifest = _manifest(data / name)
        cache = Path("reports") / f"quality-{name}-{embedder.bundle.sha256[:12]}.npz"
        vectors = embed_photos(manifest.photos, [], embedder, views=0, cache=cache)
        details = [math.log(detail_of(decode(photo.path.read_bytes()))) for photo in manifest.queries]
        most = 0
        for draw in range(DRAWS):
            asked, recognizer = _asked(manifest, vectors, embedder.dim, draw)
            held = recognizer.labels()
            counts = [math.log(held[one.ranked.labels[0].label]) for one in asked]
            further = np.stack([counts, details], axis=1)
            for title, columns in FURTHER.items():
                rows[title].append(_judged(asked, further[:, list(columns)], draw))
            most = max(most, _most_strangers(recognizer))
        for title, found in rows.items():
            typer.echo(f"| {name} | {title} | {' | '.join(f'{value:.3f}' for value in np.mean(found, axis=0))} |")
        typer.echo(f"\n{name}: at most {most} different things, label left out, come nearest to one label.\n")


def _manifest(folder: Path) -> Manifest:
    return fingerprint(
        load_parts(
            gallery=folder / "openset_gallery.csv",
            queries=folder / "openset_queries_val.csv",
            distractors=folder / "openset_distractors.csv",
        )
    )


def _asked(manifest: Manifest, vectors: Embeddings, dim: int, draw: int) -> tuple[list[Asked], Recognizer]:
    """Validation queries asked of a thinned gallery, adapted as it chooses, without verification."""
    recognizer = Recognizer(dim, bundle_sha256="")
    none = np.empty((0, dim), np.float32)
    recognizer.upsert(
        [
            Item(at, str(at), photo.label if photo.role == "gallery" else None, vectors.own[photo.sha256], none)
            for at, photo in enumerate(_thinned(manifest.gallery, draw) + list(manifest.distractors))
        ]
    )
    space = recognizer.space_with(tune(recognizer).adaptation)
    queries = LabelledQueries(vectors.of(manifest.queries, dim), [photo.label for photo in manifest.queries])
    return Simulation(recognizer, lambda _: space).labelled(queries, lambda _: space), recognizer


def _thinned(gallery: tuple[Photo, ...], draw: int) -> list[Photo]:
    random = np.random.default_rng(draw)
    by_label: dict[str, list[Photo]] = {}
    for photo in gallery:
        by_label.setdefault(photo.label, []).append(photo)
    return [
        photos[at]
        for photos in by_label.values()
        for at in random.permutation(len(photos))[: random.integers(1, len(photos) + 1)]
    ]


def _judged(asked: list[Asked], further: Floats, draw: int) -> tuple[float, ...]:
    samples = samples_of(asked)
    matrix = np.concatenate([samples.evidence.matrix(), further], axis=1)
    folds = np.random.default_rng(draw).permutation(len(set(samples.things.tolist()))) % 5
    fold_of = folds[np.unique(samples.things, return_inverse=True)[1]]
    confidence = np.zeros(len(samples))
    for fold in range(5):
        inside = fold_of == fold
        scaler = StandardScaler().fit(matrix[~inside])
        model = LogisticRegression().fit(scaler.transform(matrix[~inside]), samples.right[~inside])
        confidence[inside] = model.predict_proba(scaler.transform(matrix[inside]))[:, 1]
    clipped = np.clip(confidence, 1e-3, 1 - 1e-3)
    loss = -np.where(samples.right, np.log(clipped), np.log(1 - clipped)).mean()
    return (
        float(loss),
        auroc(confidence[samples.right], confidence[~samples.known]),
        expected_calibration_error(confidence, samples.right),
    )


def _most_strangers(recognizer: Recognizer) -> int:
    """Labels whose photos, with their label left out, come nearest to the same other label: the most there are."""
    simulation = Simulation(recognizer, lambda _: recognizer.space)
    nearest: dict[str, set[str]] = {}
    for one in simulation.items(recognizer.index.numbers().tolist()):
        if not one.known:
            nearest.setdefault(one.ranked.labels[0].label, set()).add(one.thing)
    return max(map(len, nearest.values()), default=0)


if __name__ == "__main__":
    typer.run(main)
