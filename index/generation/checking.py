"""Whether a generation holds what its manifest says, and finds as much as it did when it was made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from index.background import Background
from index.engines import MilvusIndex, TrainedIndex, open_index, recall
from index.errors import GenerationCorrupt, RecallLost
from index.generation.manifest import DISTRACTORS, FEATURES, ITEMS, VECTORS, Generation
from index.generation.opening import open_generation
from index.generation.published import verify_generation
from index.generation.vectors import likely_queries
from index.pipeline import Pipeline
from index.recognizer import Recognizer
from index.verification import Verifier

__all__ = ["Checked", "check_generation"]

_K = 10
_SHIPPED = Pipeline()

_SLACK = 0.01
"""Of recall: another FAISS, or another processor, rounds otherwise. The same ones find the same."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A generation that was found whole.

    Attributes:
        recall: recall@10 against exact search, measured now; None for an exact engine.
        servable: False for one of a version before local features, of which the files alone were checked.
    """

    generation: Generation
    recall: float | None
    servable: bool


def check_generation(
    root: Path,
    number: int,
    *,
    bundle_sha256: str,
    background: Background,
    pipeline: Pipeline = _SHIPPED,
    verifier: Verifier | None = None,
) -> Checked:
    """Check every file against its sha256, what they hold against the manifest, and the engine against exact search.

    Raises:
        GenerationNotFound, GenerationCorrupt: the latter names the file.
        GenerationMismatch: another bundle made it.
        RecallLost: the engine finds clearly less than it did.
        DeviceUnavailable: it is of a GPU, and there is none.
    """
    generation = verify_generation(root, number)
    if FEATURES not in generation.manifest.files:
        return Checked(generation, None, servable=False)
    recognizer = open_generation(
        generation, bundle_sha256=bundle_sha256, background=background, pipeline=pipeline, verifier=verifier
    )
    _check_counts(generation, recognizer)
    return Checked(generation, _checked_recall(generation, recognizer), servable=True)


def _check_counts(generation: Generation, recognizer: Recognizer) -> None:
    manifest = generation.manifest
    numbers = recognizer.index.numbers().tolist()
    unnamed = sum(number not in recognizer.table for number in numbers)
    if unnamed:
        raise _corrupt(generation, ITEMS, f"lacks {unnamed} of the {len(numbers)} photos that {VECTORS} holds")
    for file, what, found, said in (
        (ITEMS, "items", len(recognizer), manifest.items),
        (ITEMS, "labels", recognizer.table.count_labels(), manifest.labels),
        (DISTRACTORS, "distractors", recognizer.n_distractors, manifest.distractors),
    ):
        if found != said:
            raise _corrupt(generation, file, f"holds {found} {what}, its manifest says {said}")


def _corrupt(generation: Generation, file: str, what: str) -> GenerationCorrupt:
    return GenerationCorrupt(
        f"generation {generation.number}: {file} {what}; publish a new generation", file=file, number=generation.number
    )


def _checked_recall(generation: Generation, recognizer: Recognizer) -> float | None:
    expected = generation.manifest.recall
    if expected is None or len(recognizer) == 0:
        return None
    index = open_index(generation.folder / VECTORS, generation.manifest.engine)
    if not isinstance(index, TrainedIndex | MilvusIndex):
        return None
    queries = likely_queries(recognizer, among=index)
    k = min(_K, len(index))
    found = recall(index.search(queries, k)[1], index.exact(queries, k)[1])
    if found < expected - _SLACK:
        raise RecallLost(
            f"generation {generation.number} finds {found:.3f} of what exact search finds, {expected:.3f} when it was "
            "made; publish a new generation",
            number=generation.number,
            recall=found,
            expected=expected,
        )
    return found
