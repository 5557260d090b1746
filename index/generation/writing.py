"""Writing a gallery as a generation: in full, flushed, under a name that nobody reads, then renamed to its number."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from index.generation.discarding import delete_folder
from index.generation.flushed import flush_folder, sha256_of, write_arrays, write_bytes, write_text
from index.generation.manifest import (
    ADAPTATION,
    CALIBRATION,
    DISTRACTORS,
    FEATURES,
    ITEMS,
    MANIFEST,
    VECTORS,
    Generation,
    GenerationManifest,
)
from index.generation.room import told_when_full
from index.generation.vectors import Built, build_vectors
from index.recognizer import Recognizer

__all__ = ["write_generation"]

_ROWS_AT_ONCE = 65_536


def write_generation(
    root: Path,
    recognizer: Recognizer,
    *,
    change: int,
    engine: str = "flat",
    built: Built | None = None,
    accept: Callable[[Generation], None] | None = None,
) -> Generation:
    """Write a gallery as the next generation; it is not in use before `publish`.

    Args:
        root: the gallery's folder, made if it is not there.
        recognizer: the gallery, which must not change meanwhile.
        change: the change number it stands at.
        engine: what searches the vectors, in short form (`index.engines.parse_spec`).
        built: the gallery's vectors in that engine, where they have been built already.
        accept: looks at what was written before it gets its number (it is 0 then); when it raises, nothing is left.

    Raises:
        InvalidEngineSpec, DeviceUnavailable: see `index.generation.vectors`; nothing is left on disk.
        DiskFull: likewise.
    """
    generations = root / "generations"
    draft = generations / f".draft-{uuid.uuid4().hex}"
    try:
        with told_when_full("a generation"):
            draft.mkdir(parents=True)
            manifest = _write_files(
                draft, recognizer, change, engine, built or build_vectors(recognizer, engine)
            ).sealed()
            write_text(draft / MANIFEST, manifest.model_dump_json(indent=2))
            flush_folder(draft)
        if accept is not None:
            accept(Generation(number=0, folder=draft, manifest=manifest))
        number = _claim_number(generations, draft)
    except BaseException:
        delete_folder(draft)
        raise
    return Generation(number=number, folder=generations / str(number), manifest=manifest)


def _write_files(folder: Path, recognizer: Recognizer, change: int, engine: str, built: Built) -> GenerationManifest:
    built.index.save(folder / VECTORS)
    _write_items(folder / ITEMS, recognizer)
    distractors = recognizer.distractors
    write_arrays(folder / DISTRACTORS, numbers=distractors.numbers(), embeddings=distractors.matrix())
    recognizer.features.save(folder / FEATURES)
    if recognizer.tuning is not None:
        body, adaptation = recognizer.tuning.to_parts()
        write_text(folder / CALIBRATION, json.dumps(body, indent=2))
        if adaptation:
            write_bytes(folder / ADAPTATION, adaptation)
    return GenerationManifest(
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        bundle_sha256=recognizer.bundle_sha256,
        dim=recognizer.dim,
        engine=built.index.spec,
        asked=engine,
        recall=built.recall,
        change=change,
        items=len(recognizer),
        labels=recognizer.table.count_labels(),
        distractors=recognizer.n_distractors,
        files={path.name: sha256_of(path) for path in sorted(folder.iterdir())},
    )


def _write_items(path: Path, recognizer: Recognizer) -> None:
    numbers = recognizer.index.numbers()
    table = recognizer.table
    names = sorted(table.labels())
    codes = {name: code for code, name in enumerate(names)}
    penalties = np.zeros(len(numbers), np.float32)
    for start in range(0, len(numbers), _ROWS_AT_ONCE):
        part = numbers[start : start + _ROWS_AT_ONCE]
        penalties[start : start + len(part)] = recognizer.distractors.penalties(recognizer.index.reconstruct(part))
    with_views = sorted(recognizer.views)
    counts = [len(recognizer.views[number]) for number in with_views]
    views = [recognizer.views[number] for number in with_views]
    write_arrays(
        path,
        numbers=numbers,
        ids=np.array([table.id(number).encode("ascii") for number in numbers.tolist()], np.bytes_),
        label_codes=np.array([codes[table.label(number)] for number in numbers.tolist()], np.int64),
        # JSON in bytes: a fixed-width array of names would take the longest name's room for each.
        label_names=np.frombuffer(json.dumps(names).encode(), np.uint8),
        penalties=penalties,
        view_numbers=np.repeat(np.array(with_views, np.int64), counts),
        views=np.concatenate(views) if views else np.empty((0, recognizer.dim), np.float32),
    )


def _claim_number(generations: Path, draft: Path) -> int:
    """Rename a draft to the next free number; another process may take one first."""
    while True:
        number = max((int(e.name) for e in generations.iterdir() if e.name.isdecimal()), default=0) + 1
        try:
            draft.rename(generations / str(number))
        except OSError:
            if not (generations / str(number)).is_dir():
                raise
            continue
        flush_folder(generations)
        return number
