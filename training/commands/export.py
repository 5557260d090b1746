"""`whichone export`: what the verb does; the options are `cli`'s."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.console import Console

from embedding.bundle import Bundle
from training.export.checkpoint_bundle import Wanted, export_checkpoint

__all__ = ["Wanted", "export"]


def export(checkpoint: Path, out: Path, wanted: Wanted, *, as_json: bool = False) -> Bundle:
    """Make a bundle of a checkpoint, and tell on stdout what it is and how near it is to the network.

    Args:
        checkpoint: of `whichone train`.
        out: the bundle's folder, which must not be there yet, or be empty.
        wanted: what it is to be.
        as_json: one JSON document instead of sentences.

    Raises:
        WhichoneError: see `training.export.checkpoint_bundle.export_checkpoint`.
    """
    console = Console(file=sys.stderr, highlight=False)
    with console.status(f"exporting {checkpoint.name}") if console.is_terminal else console:
        bundle = export_checkpoint(checkpoint, out, wanted)
    print(json.dumps(_facts(bundle), ensure_ascii=False) if as_json else _sentences(bundle))
    return bundle


def _facts(bundle: Bundle) -> dict[str, object]:
    manifest = bundle.manifest
    return {
        "bundle": manifest.id,
        "folder": str(bundle.folder),
        "sha256": bundle.sha256,
        "files": sorted(manifest.files),
        "temperature": manifest.temperature,
        "metrics": manifest.metrics,
    }


def _sentences(bundle: Bundle) -> str:
    manifest, metrics = bundle.manifest, bundle.manifest.metrics
    graph = metrics["float32_graph"]
    lines = [
        f"{manifest.id} in {bundle.folder}: {', '.join(sorted(manifest.files))}",
        f"the graph is the network to {graph['max_abs_difference']:.1e} (smallest cosine {graph['min_cosine']:.7f}) on "
        f"{metrics['parity_photos']} photos: {manifest.recipe['compared_on']}",
    ]
    if "int8_graph" in metrics:
        lines.append(f"int8: mean cosine {metrics['int8_graph']['mean_cosine']:.4f} to float32")
    if "scores" in metrics:
        scores = metrics["scores"]
        lines.append(
            f"class scores: temperature {manifest.temperature:.4g}, {scores['held_out_photos']} photos held out"
        )
    lines.append(f"try it: WHICHONE_BUNDLE={bundle.folder} whichone bundle verify")
    return "\n".join(lines)
