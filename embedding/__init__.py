"""Image bytes -> vectors: decoding with limits, one preprocessing, bundles, ONNX Runtime.

    embedder = Embedder(Bundle.open())
    photo = embedder.decode(data)
    vectors = embedder.embed([photo])       # (1, embedder.dim) float32, unit length

Importing this package costs nothing: each name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from embedding.box import Box
    from embedding.bundle import Bundle
    from embedding.embedder import Embedder
    from embedding.errors import WhichoneError
    from embedding.images import ImageLimits, decode
    from embedding.manifest import Manifest
    from embedding.preprocess import PreprocessSpec

__all__ = [
    "Box",
    "Bundle",
    "Embedder",
    "ImageLimits",
    "Manifest",
    "PreprocessSpec",
    "WhichoneError",
    "decode",
]

_HOMES = {
    "Box": "embedding.box",
    "Bundle": "embedding.bundle",
    "Embedder": "embedding.embedder",
    "ImageLimits": "embedding.images",
    "Manifest": "embedding.manifest",
    "PreprocessSpec": "embedding.preprocess",
    "WhichoneError": "embedding.errors",
    "decode": "embedding.images",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'embedding' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
