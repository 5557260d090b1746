"""What a generation says of itself, and what its files are called."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from index.engines import EngineSpec, FlatSpec, parse_spec

__all__ = [
    "ADAPTATION",
    "CALIBRATION",
    "DISTRACTORS",
    "FEATURES",
    "ITEMS",
    "MANIFEST",
    "VECTORS",
    "Generation",
    "GenerationManifest",
]

MANIFEST = "manifest.json"
VECTORS = "index.faiss"
ITEMS = "items.npz"
DISTRACTORS = "distractors.npz"
FEATURES = "features.bin"
CALIBRATION = "calibration.json"
ADAPTATION = "adaptation.bin"


def _from_text(engine: Any) -> Any:
    # Generations of the first version name their engine by a word.
    return parse_spec(engine) if isinstance(engine, str) else engine


class GenerationManifest(BaseModel):
    """`manifest.json`.

    Attributes:
        engine: that the vectors are searched by, with its parameters as they were tuned.
        asked: the engine that was asked for, in short form; the next generation is built by it, too.
        recall: recall@10 against exact search on queries like those to come; None for exact engines.
        change: the gallery's change number that the generation holds everything up to.
        files: sha256 of every other file of the generation.
        sha256: of this document without this member, as JSON with sorted keys and no spaces; None in generations from
            before there was one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["whichone-generation/1"] = "whichone-generation/1"
    created_at: str
    bundle_sha256: str
    dim: int
    engine: Annotated[EngineSpec, BeforeValidator(_from_text)] = FlatSpec()
    asked: str = "flat"
    recall: float | None = Field(default=None, ge=0, le=1)
    change: int
    items: int
    labels: int
    distractors: int
    files: dict[str, str]
    sha256: str | None = None

    def sealed(self) -> GenerationManifest:
        """The same with its sha256."""
        return self.model_copy(update={"sha256": _seal(self.model_dump(mode="json"))})

    @classmethod
    def unsealed(cls, text: bytes) -> GenerationManifest:
        """Read what a sealed manifest was written as.

        Raises:
            ValueError: (pydantic's ValidationError among them) it is something else, or was changed since.
        """
        body = json.loads(text)
        manifest = cls.model_validate(body)
        # Of the text, not of what was read: a version with further members must not find older manifests changed.
        if manifest.sha256 is not None and manifest.sha256 != _seal(body):
            raise ValueError("it was changed since it was written")
        return manifest


def _seal(body: dict[str, Any]) -> str:
    rest = {name: value for name, value in body.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class Generation(BaseModel):
    """A generation on disk."""

    model_config = ConfigDict(frozen=True)

    number: int
    folder: Path
    manifest: GenerationManifest
