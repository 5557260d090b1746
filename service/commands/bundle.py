"""`whichone bundle`: what the model is, and whether it is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.table import Table

from embedding.bundle import Bundle
from embedding.embedder import Embedder
from service.commands.terminal import print_json, stdout

__all__ = ["show_bundle", "verify_bundle"]


def show_bundle(folder: Path | None, *, as_json: bool) -> None:
    """Print the manifest, without hashing the files.

    Raises:
        BundleNotFound, BundleInvalid, BundleCorrupt: see `Bundle.open`.
    """
    bundle = Bundle.open(folder, verify=False)
    manifest = bundle.manifest
    if as_json:
        print_json({"id": bundle.id, "sha256": bundle.sha256, **manifest.model_dump(mode="json")})
        return
    table = Table(show_header=False)
    for name, value in _facts(bundle):
        table.add_row(name, value)
    stdout().print(table)


def _facts(bundle: Bundle) -> list[tuple[str, str]]:
    manifest = bundle.manifest
    spec = manifest.preprocess
    sizes = {name: (bundle.folder / name).stat().st_size / 1e6 for name in manifest.files}
    return [
        ("bundle", bundle.id),
        ("sha256", bundle.sha256),
        ("folder", str(bundle.folder)),
        ("backbone", manifest.backbone),
        ("licence", manifest.license),
        ("embedding", f"{manifest.dim} numbers a photo"),
        ("photo", f"{spec.mode}, resize {spec.resize}, crop {spec.crop}, {spec.interpolation}"),
        (
            "models",
            ", ".join(f"{precision}: {file} ({sizes[file]:.1f} MB)" for precision, file in manifest.models.items()),
        ),
        ("runs", ", ".join(f"{precision} on {device}" for device, precision in manifest.precision.items())),
        ("distractors", str(len(bundle.distractors()))),
        *((f"metric {name}", str(value)) for name, value in manifest.metrics.items()),
    ]


def verify_bundle(folder: Path | None, *, as_json: bool) -> None:
    """Hash every file, and run each model on a grey picture.

    Raises:
        BundleNotFound, BundleInvalid, BundleCorrupt, EmbeddingInvalid.
    """
    bundle = Bundle.open(folder, verify=True)
    side = bundle.manifest.preprocess.side_needed
    picture = Image.fromarray(np.full((side, side, 3), 128, np.uint8))
    for precision in bundle.manifest.models:
        Embedder(bundle, precision=precision).embed([picture])
    result: dict[str, Any] = {
        "id": bundle.id,
        "sha256": bundle.sha256,
        "files": len(bundle.manifest.files),
        "models": list(bundle.manifest.models),
        "whole": True,
    }
    if as_json:
        print_json(result)
    else:
        models = ", ".join(result["models"])
        stdout().print(f"{bundle.id} is whole: {result['files']} files match their sha256; {models} run.")
