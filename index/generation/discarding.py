"""Generations that go: those beyond the number to keep, and what a crash left half written."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Collection
from pathlib import Path

from index.engines import EngineUnavailable, discard
from index.generation.flushed import flush_folder
from index.generation.manifest import VECTORS
from index.generation.published import list_generations

__all__ = ["clear_leftovers", "delete_folder", "prune"]

_GONE = ".gone-"
_LEFTOVERS = (".draft-*", f"{_GONE}*")


def prune(root: Path, *, keep: int, besides: Collection[int]) -> list[int]:
    """Delete all generations but the newest.

    Those who have one mapped go on with it: its files have no name any more, but stay until they are let go of. One on
    a server is gone there for all.

    Args:
        keep: how many of the newest stay.
        besides: numbers that stay in any case: those in use.

    Returns:
        the numbers that went, ascending.
    """
    gone = [number for number in list_generations(root)[:-keep] if number not in besides]
    for number in gone:
        _discard(root / "generations", number)
    return gone


def clear_leftovers(root: Path) -> None:
    """Delete what a crash left half written or half deleted. Nobody may be writing a generation meanwhile."""
    for pattern in _LEFTOVERS:
        for folder in (root / "generations").glob(pattern):
            delete_folder(folder)
    for draft in root.glob(".CURRENT-*"):
        draft.unlink(missing_ok=True)


def delete_folder(folder: Path) -> None:
    """Delete a generation's folder, and first what its index holds elsewhere. Where that cannot be reached the folder
    stays, so that it is known which that was: a leftover for the next time."""
    try:
        discard(folder / VECTORS)
    except EngineUnavailable:
        return
    shutil.rmtree(folder, ignore_errors=True)


def _discard(generations: Path, number: int) -> None:
    # By a rename first: a generation is there whole, or not at all.
    gone = generations / f"{_GONE}{uuid.uuid4().hex}"
    (generations / str(number)).rename(gone)
    flush_folder(generations)
    delete_folder(gone)
