"""Generations on disk: immutable, numbered snapshots of a gallery's index.

    galleries/<gallery>/generations/<number>/
        manifest.json     what made it, how much it holds, the sha256 of every other file
        index.faiss       the vectors, opened by memory map
        items.npz         numbers, ids, labels, penalties; simulated re-photographs
        features.bin      local features of the photos, read as needed
        distractors.npz   numbers, embeddings
        calibration.json  calibration, and which parts are used; absent when the gallery could not be calibrated
        adaptation.bin    absent when embeddings are compared as they are
    galleries/<gallery>/CURRENT      the number in use

A generation is written in full and flushed under a name that nobody reads, renamed to its number, and comes into use by
the atomic replacement of `CURRENT`. Nothing here is the truth: the database is, and can make all of it again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from index.background import Background
from index.engines import FlatIndex
from index.errors import GenerationCorrupt, GenerationMismatch, GenerationNotFound
from index.items import Item
from index.pipeline import Pipeline
from index.recognizer import DEFAULT_FAR_BUDGET, Recognizer
from index.tuning import Tuning
from index.verification import FeatureFile, Verifier

__all__ = [
    "Generation",
    "GenerationManifest",
    "current_generation",
    "list_generations",
    "open_recognizer",
    "publish",
    "read_generation",
    "rollback",
    "verify_generation",
    "write_generation",
]

_MANIFEST = "manifest.json"
_VECTORS = "index.faiss"
_ITEMS = "items.npz"
_DISTRACTORS = "distractors.npz"
_FEATURES = "features.bin"
_CALIBRATION = "calibration.json"
_ADAPTATION = "adaptation.bin"
_ROWS_AT_ONCE = 65_536
_SHIPPED = Pipeline()


class GenerationManifest(BaseModel):
    """`manifest.json`.

    Attributes:
        change: the gallery's change number that the generation holds everything up to.
        files: sha256 of every other file of the generation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["whichone-generation/1"] = "whichone-generation/1"
    created_at: str
    bundle_sha256: str
    dim: int
    engine: Literal["flat"] = "flat"
    change: int
    items: int
    labels: int
    distractors: int
    files: dict[str, str]


class Generation(BaseModel):
    """A generation on disk."""

    model_config = ConfigDict(frozen=True)

    number: int
    folder: Path
    manifest: GenerationManifest


def write_generation(root: Path, recognizer: Recognizer, *, change: int) -> Generation:
    """Write a gallery as the next generation; it is not in use before `publish`.

    Args:
        root: the gallery's folder, made if it is not there.
        recognizer: the gallery, which must not change meanwhile.
        change: the change number it stands at.
    """
    generations = root / "generations"
    generations.mkdir(parents=True, exist_ok=True)
    draft = generations / f".draft-{uuid.uuid4().hex}"
    draft.mkdir()
    try:
        manifest = _write_files(draft, recognizer, change)
        _write_text(draft / _MANIFEST, manifest.model_dump_json(indent=2))
        _flush_folder(draft)
        number = _claim_number(generations, draft)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return Generation(number=number, folder=generations / str(number), manifest=manifest)


def publish(root: Path, number: int) -> None:
    """Put a generation into use, atomically.

    Raises:
        GenerationNotFound: it is not on disk.
    """
    read_generation(root, number)
    draft = root / f".CURRENT-{uuid.uuid4().hex}"
    _write_text(draft, f"{number}\n")
    draft.replace(root / "CURRENT")
    _flush_folder(root)


def rollback(root: Path, number: int | None = None) -> Generation:
    """Put an older generation into use: `number`, or the one before the current.

    Raises:
        GenerationNotFound: there is none such.
    """
    current = current_generation(root)
    if number is None:
        older = [n for n in list_generations(root) if current is not None and n < current]
        if not older:
            raise GenerationNotFound(
                "there is no older generation to roll back to",
                current=current,
                existing=list_generations(root),
            )
        number = older[-1]
    generation = verify_generation(root, number)
    publish(root, number)
    return generation


def current_generation(root: Path) -> int | None:
    """The number in use; None before the first `publish`.

    Raises:
        GenerationCorrupt: `CURRENT` holds no number.
    """
    try:
        text = (root / "CURRENT").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        text = "something that is not text"
    if not text.isdecimal():
        raise GenerationCorrupt(f"CURRENT holds {text[:40]!r}, expected a generation's number", file="CURRENT")
    return int(text)


def list_generations(root: Path) -> list[int]:
    """The numbers on disk, ascending."""
    folder = root / "generations"
    if not folder.is_dir():
        return []
    return sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal())


def read_generation(root: Path, number: int) -> Generation:
    """Read a generation's manifest.

    Raises:
        GenerationNotFound: it is not on disk.
        GenerationCorrupt: its manifest cannot be read.
    """
    folder = root / "generations" / str(number)
    try:
        text = (folder / _MANIFEST).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        existing = list_generations(root)
        raise GenerationNotFound(
            f"generation {number} is not on disk; there are {existing or 'none'}",
            number=number,
            existing=existing,
        ) from error
    try:
        manifest = GenerationManifest.model_validate_json(text)
    except ValidationError as error:
        raise GenerationCorrupt(
            f"generation {number}: {_MANIFEST} is not a generation's manifest", file=_MANIFEST, number=number
        ) from error
    return Generation(number=number, folder=folder, manifest=manifest)


def verify_generation(root: Path, number: int) -> Generation:
    """Check every file of a generation against its sha256.

    Raises:
        GenerationNotFound, GenerationCorrupt: the latter names the file.
    """
    generation = read_generation(root, number)
    for name, expected in generation.manifest.files.items():
        if Path(name).name != name:
            raise GenerationCorrupt(f"generation {number}: {name!r} is not a plain file name", file=name)
        path = generation.folder / name
        if not path.is_file():
            raise GenerationCorrupt(f"generation {number}: {name} is missing", file=name, number=number)
        if _sha256(path) != expected:
            raise GenerationCorrupt(
                f"generation {number}: {name} is not the file that the manifest describes; "
                "publish a new generation, or roll back to another",
                file=name,
                number=number,
            )
    return generation


def open_recognizer(
    root: Path,
    number: int,
    *,
    bundle_sha256: str,
    background: Background,
    far_budget: float = DEFAULT_FAR_BUDGET,
    pipeline: Pipeline = _SHIPPED,
    verifier: Verifier | None = None,
    verify: bool = True,
) -> tuple[Recognizer, Generation]:
    """A recogniser over a memory-mapped generation; later changes can be laid over it.

    Raises:
        GenerationNotFound, GenerationCorrupt: see `verify_generation`.
        GenerationMismatch: another bundle made it, or the dimension differs.
    """
    generation = verify_generation(root, number) if verify else read_generation(root, number)
    manifest = generation.manifest
    if manifest.bundle_sha256 != bundle_sha256:
        raise GenerationMismatch(
            f"generation {number} was made with bundle {manifest.bundle_sha256[:12]}, "
            f"this server has {bundle_sha256[:12]}; serve the old bundle, or embed the gallery again",
            expected=bundle_sha256,
            got=manifest.bundle_sha256,
        )
    if _FEATURES not in manifest.files:
        raise GenerationCorrupt(
            f"generation {number} is of an older Whichone, without {_FEATURES}; publish a new generation",
            file=_FEATURES,
            number=number,
        )
    base = FlatIndex.open(generation.folder / _VECTORS)
    if base.dim != manifest.dim or len(base) != manifest.items:
        raise GenerationMismatch(
            f"generation {number}: {_VECTORS} holds {len(base)} vectors of {base.dim} values, "
            f"its manifest says {manifest.items} of {manifest.dim}",
            file=_VECTORS,
        )
    recognizer = Recognizer(
        manifest.dim,
        bundle_sha256=bundle_sha256,
        background=background,
        far_budget=far_budget,
        base=base,
        features=FeatureFile.open(generation.folder / _FEATURES),
        pipeline=pipeline,
        verifier=verifier,
    )
    _read_items(generation, recognizer)
    _read_distractors(generation, recognizer)
    if _CALIBRATION in manifest.files:
        recognizer.tuning = _read_tuning(generation)
    return recognizer, generation


def _write_files(folder: Path, recognizer: Recognizer, change: int) -> GenerationManifest:
    recognizer.index.save(folder / _VECTORS)
    _write_items(folder / _ITEMS, recognizer)
    distractors = recognizer.distractors
    _write_arrays(folder / _DISTRACTORS, numbers=distractors.numbers(), embeddings=distractors.matrix())
    recognizer.features.save(folder / _FEATURES)
    if recognizer.tuning is not None:
        body, adaptation = recognizer.tuning.to_parts()
        _write_text(folder / _CALIBRATION, json.dumps(body, indent=2))
        if adaptation:
            _write_bytes(folder / _ADAPTATION, adaptation)
    return GenerationManifest(
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        bundle_sha256=recognizer.bundle_sha256,
        dim=recognizer.dim,
        change=change,
        items=len(recognizer),
        labels=recognizer.table.count_labels(),
        distractors=recognizer.n_distractors,
        files={path.name: _sha256(path) for path in sorted(folder.iterdir())},
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
    _write_arrays(
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


def _read_items(generation: Generation, recognizer: Recognizer) -> None:
    with np.load(generation.folder / _ITEMS, allow_pickle=False) as arrays:
        names = json.loads(arrays["label_names"].tobytes())
        for number, id_, code in zip(
            arrays["numbers"].tolist(), arrays["ids"].tolist(), arrays["label_codes"].tolist(), strict=True
        ):
            recognizer.table.put(number, id_.decode("ascii"), names[code])
        view_numbers, views = arrays["view_numbers"], arrays["views"]
    for number in np.unique(view_numbers).tolist():
        recognizer.views[number] = views[view_numbers == number]


def _read_tuning(generation: Generation) -> Tuning:
    try:
        body = json.loads((generation.folder / _CALIBRATION).read_text(encoding="utf-8"))
        packed = _ADAPTATION in generation.manifest.files
        adaptation = (generation.folder / _ADAPTATION).read_bytes() if packed else b""
        return Tuning.from_parts(body, adaptation, generation.manifest.dim)
    except ValueError as error:
        raise GenerationCorrupt(
            f"generation {generation.number}: {_CALIBRATION} and {_ADAPTATION} are not what this version writes; "
            "publish a new generation",
            file=_CALIBRATION,
            number=generation.number,
        ) from error


def _read_distractors(generation: Generation, recognizer: Recognizer) -> None:
    with np.load(generation.folder / _DISTRACTORS, allow_pickle=False) as arrays:
        empty = np.empty((0, recognizer.dim), np.float32)
        recognizer.distractors.put(
            [
                Item(number, "", None, embedding, empty)
                for number, embedding in zip(arrays["numbers"].tolist(), arrays["embeddings"], strict=True)
            ]
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
        _flush_folder(generations)
        return number


def _write_arrays(path: Path, **arrays: np.typing.NDArray[np.generic]) -> None:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
        file.flush()
        os.fsync(file.fileno())


def _write_text(path: Path, text: str) -> None:
    _write_bytes(path, text.encode())


def _write_bytes(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
