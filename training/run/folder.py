"""A run's folder.

recipe.yaml             the recipe as used, defaults filled in, overrides applied
run.json                versions, data (source, counts, fingerprint), processes, precision
log.jsonl               a line every few steps and one an epoch
curves.png              losses, rate and metrics, drawn of log.jsonl
worst.png               the mistakes that the network was surest of, beside what it took the photos for
checkpoints/last.pt     where the run can go on
checkpoints/best.pt     best by the recipe's `select`, to be used
checkpoints/stage-N-NAME.pt    the network at the end of each stage
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.errors import RunFailed
from training.run.files import write_text_whole

__all__ = ["RunFolder"]


class RunFolder:
    """The folder of one run.

    Args:
        path: where it lies; made when the first thing is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def last(self) -> Path:
        return self.path / "checkpoints" / "last.pt"

    @property
    def best(self) -> Path:
        return self.path / "checkpoints" / "best.pt"

    def stage_end(self, number: int, name: str) -> Path:
        return self.path / "checkpoints" / f"stage-{number}-{name}.pt"

    def begin(self, recipe: str, facts: Mapping[str, Any]) -> None:
        """Of a new run.

        Args:
            recipe: YAML.
            facts: of run.json.

        Raises:
            RunFailed: the folder holds something already, or cannot be written.
        """
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            does = "holds a run; go on with it by --resume, or" if self.last.exists() else "is not empty;"
            raise RunFailed(f"{self.path} {does} choose another folder", folder=str(self.path))
        write_text_whole(self.path / "recipe.yaml", recipe)
        write_text_whole(self.path / "run.json", json.dumps(facts, indent=2) + "\n")

    def log(self, kind: str, **facts: Any) -> None:
        """Append a line to log.jsonl; `step` among the facts says at which step of the run.

        Raises:
            RunFailed: it cannot be written.
        """
        try:
            with (self.path / "log.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps({"kind": kind, **facts}) + "\n")
        except OSError as error:
            kept = f"; the last checkpoint is {self.last}" if self.last.exists() else ""
            raise RunFailed(f"{self.path / 'log.jsonl'} could not be written: {error.strerror}{kept}") from error

    def lines(self) -> list[dict[str, Any]]:
        """What was logged; a line that a crash cut off is left out."""
        path = self.path / "log.jsonl"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def forget_after(self, step: int) -> None:
        """Drop the log's lines of steps after the one that the run goes on from: it will write them again."""
        kept = [line for line in self.lines() if line.get("step", 0) <= step]
        write_text_whole(self.path / "log.jsonl", "".join(json.dumps(line) + "\n" for line in kept))
