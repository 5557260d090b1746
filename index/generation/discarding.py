"""Generations that go: those beyond the number to keep, and what a crash left half written."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Collection
from pathlib import Path

from index.generation.flushed import flush_folder
from index.generation.published import list_generations

__all__ = ["clear_leftovers", "prune"]

_GONE = ".gone-"
_LEFTOVERS = (".draft-*", f"{_GONE}*")


def prune(root: Path, *, keep: int, besides: Collection[int]) -> list[int]:
    """Delete all generations but the newest.

    Those who have one mapped go on with it: its files have no name any more, but stay until they are let go of.

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
            shutil.rmtree(folder, ignore_errors=True)
    for draft in root.glob(".CURRENT-*"):
        draft.unlink(missing_ok=True)


def _discard(generations: Path, number: int) -> None:
    # By a rename first: a generation is there whole, or not at all.
    gone = generations / f"{_GONE}{uuid.uuid4().hex}"
    (generations / str(number)).rename(gone)
    flush_folder(generations)
    shutil.rmtree(gone, ignore_errors=True)
