"""Ways to turn evidence into a confidence, compared: `python -m benchmarks.calibrators [--data ../shared/data]`.

On validation queries only, the labels in five folds: each fold is judged by what was fitted on the others, so that no
label is judged by its own photos. Ten drawings of the folds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from embedding.bundle import Bundle
from embedding.embedder import Embedder
from index.calibration import Samples, fit
from index.evaluation.embeddings import embed_photos
from index.evaluation.manifest import fingerprint, load_parts
from index.evaluation.metrics import auroc, expected_calibration_error
from index.items import Item
from index.labelled import LabelledQueries
from index.recognizer import Recognizer
from index.simulation import Simulation, samples_of
from index.tuner import tune

Floats = NDArray[np.float64]
Method = Callable[[Samples, Samples], Floats]
BUDGET = 0.05
DRAWS = 10


def main(
    data: Annotated[Path, typer.Option(help="Folder that holds grocery/ and omniglot/.")] = Path("../shared/data"),
) -> None:
    """Print the table as Markdown."""
    typer.echo("| set | method | ECE | log loss | AUROC | false accepts at 5 % | accepted and right |")
    typer.echo("| --- " * 7 + "|")
    for name in ("grocery", "omniglot"):
        samples = _samples(data / name)
        for title, method in METHODS.items():
            rows = np.array([_judged(samples, method, draw) for draw in range(DRAWS)])
            typer.echo(f"| {name} | {title} | {' | '.join(f'{value:.3f}' for value in rows.mean(axis=0))} |")


def _ours(known: Samples, asked: Samples) -> Floats:
    return fit(known, far_budget=BUDGET, source="labelled").confidences(asked.evidence)


def _score_alone(known: Samples, asked: Samples) -> Floats:
    model = LogisticRegression().fit(known.evidence.score[:, None] * 10, known.right)
    return np.asarray(model.predict_proba(asked.evidence.score[:, None] * 10)[:, 1])


def _isotonic_score(known: Samples, asked: Samples) -> Floats:
    return _isotonic(known.evidence.score, known.right, asked.evidence.score)


def _isotonic_ours(known: Samples, asked: Samples) -> Floats:
    return _isotonic(_ours(known, known), known.right, _ours(known, asked))


def _conformal(known: Samples, asked: Samples) -> Floats:
    """Share of right answers that score lower: a p-value of being known, no probability."""
    right = np.sort(known.evidence.score[known.right])
    return np.searchsorted(right, asked.evidence.score, side="right") / (len(right) + 1)


def _isotonic(values: Floats, right: NDArray[np.bool_], asked: Floats) -> Floats:
    model = IsotonicRegression(y_min=0.002, y_max=0.998, out_of_bounds="clip").fit(values, right)
    return np.asarray(model.predict(asked), np.float64)


METHODS: dict[str, Method] = {
    "monotone logistic, four measures (shipped)": _ours,
    "Platt: logistic, score alone": _score_alone,
    "isotonic, score alone": _isotonic_score,
    "isotonic over the shipped one": _isotonic_ours,
    "conformal p-value of the score": _conformal,
}


def _judged(samples: Samples, method: Method, draw: int) -> tuple[float, ...]:
    """ECE, log loss, AUROC; and, thresholds being the order statistic of the other folds, FAR and accepted right."""
    folds = np.random.default_rng(draw).integers(0, 5, samples.things.max() + 1)[samples.things]
    confidence, accepted = np.zeros(len(samples)), np.zeros(len(samples), np.bool_)
    for fold in range(5):
        inside = folds == fold
        others = _where(samples, ~inside)
        confidence[inside] = method(others, _where(samples, inside))
        strangers = np.sort(method(others, others)[~others.known])
        threshold = strangers[-max(int(BUDGET * (len(strangers) + 1)), 1)]
        accepted[inside] = confidence[inside] > threshold
    right, unknown = samples.right, ~samples.known
    signs = np.where(right, 1, -1)
    loss = np.logaddexp(0, -signs * logit(np.clip(confidence, 1e-3, 1 - 1e-3))).mean()
    return (
        expected_calibration_error(confidence, right),
        float(loss),
        auroc(confidence[right], confidence[unknown]),
        float(accepted[unknown].mean()),
        float((accepted & right)[samples.known].mean()),
    )


def _where(samples: Samples, chosen: NDArray[np.bool_]) -> Samples:
    return Samples(samples.evidence.where(chosen), samples.known[chosen], samples.right[chosen], samples.things[chosen])


def _samples(folder: Path) -> Samples:
    """Validation queries asked of the gallery, adapted as it chooses, without verification."""
    embedder = Embedder(Bundle.open())
    manifest = fingerprint(
        load_parts(
            gallery=folder / "openset_gallery.csv",
            queries=folder / "openset_queries_val.csv",
            distractors=folder / "openset_distractors.csv",
        )
    )
    cache = Path("reports") / f"quality-{folder.name}-{embedder.bundle.sha256[:12]}.npz"
    vectors = embed_photos(manifest.photos, [], embedder, views=0, cache=cache)
    recognizer = Recognizer(embedder.dim, bundle_sha256="")
    none = np.empty((0, embedder.dim), np.float32)
    recognizer.upsert(
        [
            Item(at, str(at), photo.label if photo.role == "gallery" else None, vectors.own[photo.sha256], none)
            for at, photo in enumerate(manifest.gallery + manifest.distractors)
        ]
    )
    tuning = tune(recognizer)
    space = recognizer.space_with(tuning.adaptation)
    queries = LabelledQueries(vectors.of(manifest.queries, embedder.dim), [photo.label for photo in manifest.queries])
    return samples_of(Simulation(recognizer, lambda _: space).labelled(queries, lambda _: space))


if __name__ == "__main__":
    typer.run(main)
