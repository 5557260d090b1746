"""The package's face: short, explicit, and free until used."""

from __future__ import annotations

import subprocess
import sys

import embedding


def test_public_names() -> None:
    assert embedding.__all__ == [
        "Box",
        "Bundle",
        "Embedder",
        "ImageLimits",
        "Manifest",
        "PreprocessSpec",
        "WhichoneError",
        "decode",
    ]
    for name in embedding.__all__:
        assert getattr(embedding, name).__name__ == name


def test_importing_it_loads_nothing() -> None:
    seen = "import sys, embedding; print({'numpy', 'PIL', 'onnxruntime', 'pydantic'} & set(sys.modules) or 'nothing')"
    out = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "nothing"
