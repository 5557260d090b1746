"""What a generation says of itself, and what its files are called."""

from __future__ import annotations

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


class Generation(BaseModel):
    """A generation on disk."""

    model_config = ConfigDict(frozen=True)

    number: int
    folder: Path
    manifest: GenerationManifest
