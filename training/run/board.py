"""TensorBoard, where it is installed (`pip install tensorboard`): the same numbers as in log.jsonl."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["Board", "is_installed"]


def is_installed() -> bool:
    """Whether TensorBoard can be written for."""
    return importlib.util.find_spec("tensorboard") is not None


class Board:
    """Writes event files.

    Args:
        folder: for the files.
        first_step: where a run that goes on after an interruption begins again; later events are then hidden.
    """

    def __init__(self, folder: Path, first_step: int = 0) -> None:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  (only where it is installed)

        self._writer: Any = SummaryWriter(str(folder), purge_step=first_step)

    def write(self, prefix: str, values: Mapping[str, float], step: int) -> None:
        """Numbers by name at a step."""
        for name, value in values.items():
            self._writer.add_scalar(f"{prefix}/{name}", value, step)
        self._writer.flush()
