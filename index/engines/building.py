"""Building and opening the engine that a specification asks for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from index.engines.errors import NumbersOutOfOrder
from index.engines.fields import Describe
from index.engines.flat import FlatIndex
from index.engines.gpu import GpuIndex, build_on_gpu
from index.engines.kept import empty_kept, read_kept
from index.engines.milvus import MilvusIndex, build_on_milvus, collection_of
from index.engines.protocol import BLOCK, Numbers, VectorIndex, Vectors
from index.engines.searcher import TrainedSpec, sample_size, train_searcher
from index.engines.spec import EngineSpec, FlatSpec, GpuSpec, Keep, MilvusSpec
from index.engines.threads import use_threads
from index.engines.trained import TrainedIndex
from index.errors import DimensionMismatch, GenerationCorrupt

__all__ = ["announce", "build", "build_trained", "collect", "discard", "open_index"]

_SEED = 20_240_501
_WORK = 10
"""Building takes as long for a vector as looking at so many, and more."""


def build(
    spec: EngineSpec, dim: int, blocks: Iterable[tuple[Numbers, Vectors]], *, describe: Describe | None = None
) -> VectorIndex:
    """Build an index from vectors in blocks.

    It is in memory until it is saved, and takes what `IndexStats` says, 2 or 4 bytes a value for kept vectors.
    Read-only unless it is flat in float32: lay an `OverlayIndex` over it.

    Args:
        dim: width of the vectors.
        blocks: numbers (n,), ascending over all blocks, and unit vectors (n, d).
        describe: gives the other fields of items, for an engine that holds those too; None leaves them empty there.

    Raises:
        InvalidEngineSpec: parameters that do not fit the dimension, or that a server refuses.
        NumbersOutOfOrder, DimensionMismatch: a block that cannot be used.
        DeviceUnavailable: a GPU is asked for, and this machine or this FAISS has none.
        EngineUnavailable: a server is asked for that does not answer, or nobody said where it is.
    """
    if isinstance(spec, MilvusSpec):
        return build_on_milvus(spec, dim, _checked(dim, blocks), describe)
    if isinstance(spec, GpuSpec):
        return build_on_gpu(spec, *collect(dim, blocks, spec.kept_as))
    if isinstance(spec, FlatSpec) and spec.storage == "float32":
        index = FlatIndex(dim)
        for numbers, vectors in _checked(dim, blocks):
            index.add(numbers, vectors)
        return index
    return build_trained(spec, *collect(dim, blocks, spec.kept_as))


def build_trained(spec: TrainedSpec, numbers: Numbers, kept: faiss.Index) -> TrainedIndex:
    """Build from vectors that are kept already; `numbers` (n,) ascend."""
    items = len(numbers)
    use_threads(items, _WORK)
    if isinstance(spec, FlatSpec) and spec.storage == "float16":
        return TrainedIndex(spec, kept, kept, numbers)
    searcher = train_searcher(spec, kept.d, items, _sample(kept, sample_size(spec, items)))
    for start in range(0, items, BLOCK):
        searcher.add(read_kept(kept, np.arange(start, min(start + BLOCK, items))))
    return TrainedIndex(spec, searcher, kept, numbers)


def open_index(path: Path, spec: EngineSpec) -> VectorIndex:
    """Open by memory map what `save` wrote for an index of `spec`. It is read-only.

    Raises:
        GenerationCorrupt: a file is missing, or is not of such an index.
        DeviceUnavailable: a GPU is asked for, and this machine or this FAISS has none.
        EngineUnavailable: a server is asked for that does not answer, or nobody said where it is.
    """
    if isinstance(spec, MilvusSpec):
        return MilvusIndex.open(path, spec)
    if isinstance(spec, GpuSpec):
        return GpuIndex.open(path, spec)
    if isinstance(spec, FlatSpec) and spec.storage == "float32":
        return FlatIndex.open(path)
    return TrainedIndex.open(path, spec)


def discard(path: Path) -> None:
    """Free what an index that was saved at `path` holds outside of its files; call it before those are deleted. Nothing
    where all is in files, or where no file says what that would be.

    Raises:
        EngineUnavailable: a server that has a part of it does not answer, or nobody said where it is.
    """
    try:
        collection = collection_of(path)
    except GenerationCorrupt:
        return
    collection.drop()


def announce(path: Path, spec: EngineSpec, gallery: str) -> None:
    """Show those who read an engine's server themselves that the index saved at `path` is a gallery's now: alias
    `whichone_gallery_<gallery>` in Milvus, where a character other than a-z and 0-9 is written as `_` and its two
    hexadecimal digits. Nothing for engines in files.

    Raises:
        GenerationCorrupt: the file cannot be read.
        EngineUnavailable: the server does not answer, or nobody said where it is.
    """
    if isinstance(spec, MilvusSpec):
        escaped = "".join(char if char.isascii() and char.isalnum() else f"_{ord(char):02x}" for char in gallery)
        collection_of(path).call(f"whichone_gallery_{escaped}")


def collect(dim: int, blocks: Iterable[tuple[Numbers, Vectors]], keep: Keep) -> tuple[Numbers, faiss.Index]:
    """All numbers (n,) of the blocks, and their vectors, kept."""
    kept = empty_kept(dim, keep)
    numbers = [np.empty(0, np.int64)]
    for part, vectors in _checked(dim, blocks):
        kept.add(vectors)
        numbers.append(part)
    return np.concatenate(numbers), kept


def _checked(dim: int, blocks: Iterable[tuple[Numbers, Vectors]]) -> Iterable[tuple[Numbers, Vectors]]:
    last = np.iinfo(np.int64).min
    for numbers, vectors in blocks:
        if vectors.ndim != 2 or vectors.shape[1] != dim:
            raise DimensionMismatch(
                f"vectors of shape {vectors.shape} do not fit an index of {dim} dimensions", expected=dim
            )
        part = np.asarray(numbers, np.int64)
        if part.shape != (len(vectors),):
            raise NumbersOutOfOrder(f"a block has {len(vectors)} vectors and numbers of shape {part.shape}")
        if len(part) == 0:
            continue
        if part[0] <= last or (part[1:] <= part[:-1]).any():
            raise NumbersOutOfOrder(f"numbers must ascend over all blocks; {part[0]} or a later one does not")
        last = int(part[-1])
        yield part, np.ascontiguousarray(vectors, np.float32)


def _sample(kept: faiss.Index, most: int) -> NDArray[np.float32]:
    """Up to `most` of the vectors, by chance but the same each time."""
    if kept.ntotal == 0:
        return np.eye(1, kept.d, dtype=np.float32)  # nothing to learn from: any centre will do
    if kept.ntotal <= most:
        return read_kept(kept, np.arange(kept.ntotal))
    places = np.random.default_rng(_SEED).choice(kept.ntotal, most, replace=False)
    return read_kept(kept, np.sort(places))
