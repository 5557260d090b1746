"""A folder that is there in full or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training.errors import TrainingError

__all__ = ["OutputRefused", "refuse_taken", "whole_folder"]


class OutputRefused(TrainingError):
    """The place for a result is taken, or cannot be written."""

    code = "output_refused"


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path` to fill, which takes its place at the end; after an error nothing is left of it.

    Raises:
        OutputRefused: `path` is there and is no empty folder, or cannot be written.
    """
    refuse_taken(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise OutputRefused(f"{path} cannot be written: {error.strerror}", folder=str(path)) from error
    try:
        yield partial
        partial.chmod(0o755)  # a temporary folder is its owner's alone
        partial.replace(path)
    except OSError as error:
        raise OutputRefused(f"{path} cannot be written: {error.strerror or error}", folder=str(path)) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def refuse_taken(path: Path) -> None:
    """Raises: OutputRefused: `path` is there and is no empty folder."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise OutputRefused(f"{path} is not empty; choose another folder", folder=str(path))
