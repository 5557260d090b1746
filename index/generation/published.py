"""Which generations there are, which is in use, and whether they are whole."""

from __future__ import annotations

import uuid
from pathlib import Path

from index.engines import announce
from index.errors import GenerationCorrupt, GenerationNotFound
from index.generation.flushed import flush_folder, sha256_of, write_text
from index.generation.manifest import MANIFEST, VECTORS, Generation, GenerationManifest

__all__ = ["current_generation", "list_generations", "publish", "read_generation", "rollback", "verify_generation"]


def publish(root: Path, number: int) -> None:
    """Put a generation into use, atomically: first for those who read an engine's server themselves, then for all.

    Raises:
        GenerationNotFound: it is not on disk.
        GenerationCorrupt, EngineUnavailable: its engine's server does not answer, or what is there cannot be read; the
            generation in use stays.
    """
    generation = read_generation(root, number)
    announce(generation.folder / VECTORS, generation.manifest.engine, root.name)
    draft = root / f".CURRENT-{uuid.uuid4().hex}"
    write_text(draft, f"{number}\n")
    draft.replace(root / "CURRENT")
    flush_folder(root)


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
        text = (folder / MANIFEST).read_bytes()
    except FileNotFoundError as error:
        existing = list_generations(root)
        raise GenerationNotFound(
            f"generation {number} is not on disk; there are {existing or 'none'}",
            number=number,
            existing=existing,
        ) from error
    try:
        manifest = GenerationManifest.unsealed(text)
    except ValueError as error:
        raise GenerationCorrupt(
            f"generation {number}: {MANIFEST} is not the manifest that was written; publish a new generation, or roll "
            "back to another",
            file=MANIFEST,
            number=number,
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
        if sha256_of(path) != expected:
            raise GenerationCorrupt(
                f"generation {number}: {name} is not the file that the manifest describes; "
                "publish a new generation, or roll back to another",
                file=name,
                number=number,
            )
    return generation
