"""FAISS indexes as files: written and flushed, and opened by memory map."""

from __future__ import annotations

import os
from pathlib import Path

import faiss
import numpy as np

from index.engines.leading import within
from index.engines.protocol import Numbers
from index.errors import GenerationCorrupt

__all__ = ["beside", "flush", "map_index", "map_numbers", "write_index", "write_numbers"]

_BLOCK_BYTES = 1 << 20


def beside(path: Path, what: str) -> Path:
    """A file of the same index: `index.faiss` and "vectors" give `index.faiss.vectors`."""
    return path.with_name(f"{path.name}.{what}")


def write_index(index: faiss.Index, path: Path) -> None:
    """Write and flush.

    Raises:
        OSError: it could not be written in full, to the last byte: FAISS by itself does not look at the closing of its
            file, which is what fails on a disk that fills up with the last few bytes.
    """
    failure: OSError | None = None

    def write(block: bytes) -> int:
        nonlocal failure
        try:
            return file.write(block)
        except OSError as error:
            failure = error
            raise

    with path.open("wb") as file:
        try:
            faiss.write_index(index, faiss.PyCallbackIOWriter(write, _BLOCK_BYTES))
        except Exception:
            if failure is not None:
                raise failure from None
            raise
        file.flush()
        os.fsync(file.fileno())


def map_index(path: Path, expected: type, *, transformed: bool = False) -> faiss.Index:
    """Open by memory map. FAISS aborts the whole process when such an index is added to: guard it.

    Args:
        expected: FAISS's class.
        transformed: whether it is behind a transform of its vectors.

    Raises:
        GenerationCorrupt: no such file, no FAISS index, or another one than `expected`.
    """
    try:
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise GenerationCorrupt(f"{path.name} is not a readable FAISS index", file=path.name) from error
    if transformed is not isinstance(index, faiss.IndexPreTransform):
        given = "transforms" if not transformed else "does not transform"
        raise GenerationCorrupt(f"{path.name} {given} its vectors, unlike its engine", file=path.name)
    if type(within(index)) is not expected:
        raise GenerationCorrupt(
            f"{path.name} holds a {type(within(index)).__name__}, expected an {expected.__name__}", file=path.name
        )
    return index


def write_numbers(numbers: Numbers, path: Path) -> None:
    """Write and flush."""
    with path.open("wb") as file:
        np.save(file, numbers, allow_pickle=False)
    flush(path)


def map_numbers(path: Path) -> Numbers:
    """Open by memory map.

    Raises:
        GenerationCorrupt: no such file, or not ascending numbers.
    """
    try:
        numbers = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise GenerationCorrupt(f"{path.name} is missing or holds no numbers", file=path.name) from error
    if numbers.dtype != np.int64 or numbers.ndim != 1 or (numbers[1:] <= numbers[:-1]).any():
        raise GenerationCorrupt(f"{path.name} does not hold ascending int64 numbers", file=path.name)
    return np.asarray(numbers)


def flush(path: Path) -> None:
    """Have a written file on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
