"""`whichone bundle join`: what the verb does; the options are `cli`'s."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from embedding.bundle import Bundle
from training.export.ensemble_bundle import Joining, join_bundles

__all__ = ["Joining", "join"]


def join(bundles: Sequence[str], out: Path, wanted: Joining, *, as_json: bool = False) -> Bundle:
    """Make one bundle of several, and tell on stdout what it is and how near its parts are to the members alone.

    Args:
        bundles: folders, or `default` for the one that ships.
        out: the new bundle's folder, which must not be there yet, or be empty.
        wanted: what it is to be.
        as_json: one JSON document instead of sentences.

    Raises:
        WhichoneError: see `training.export.ensemble_bundle.join_bundles`.
    """
    console = Console(file=sys.stderr, highlight=False)
    with console.status(f"joining {len(bundles)} bundles") if console.is_terminal else console:
        bundle = join_bundles(bundles, out, wanted)
    print(json.dumps(_facts(bundle), ensure_ascii=False) if as_json else _sentences(bundle))
    return bundle


def _facts(bundle: Bundle) -> dict[str, object]:
    manifest = bundle.manifest
    return {
        "bundle": manifest.id,
        "folder": str(bundle.folder),
        "sha256": bundle.sha256,
        "dim": manifest.dim,
        "outputs": manifest.outputs,
        "files": sorted(manifest.files),
        "members": [
            {key: member[key] for key in ("bundle", "share", "input")} for member in manifest.recipe["joined_from"]
        ],
        "metrics": manifest.metrics,
    }


def _sentences(bundle: Bundle) -> str:
    manifest, metrics = bundle.manifest, bundle.manifest.metrics
    spec = manifest.preprocess
    lines = [
        f"{manifest.id} in {bundle.folder}: {manifest.dim} numbers a photo, "
        f"photos of {' x '.join(map(str, spec.size))} pixels ({spec.mode}), {_megabytes(bundle):.1f} MB"
    ]
    graph = metrics.get("stored_graph", metrics["float32_graph"])
    for number, member in enumerate(manifest.recipe["joined_from"]):
        near = graph[f"{number}: {member['bundle']}"]
        lines.append(
            f"{member['bundle']}: share {member['share']:.3g}; its input: {member['input']}; cosine to itself alone "
            f"{near['mean_cosine']:.5f}, smallest {near['min_cosine']:.5f}"
        )
    lines.append(
        "class scores: the mean of the members' probabilities"
        if "scores" in manifest.outputs
        else "class scores: none, for not all members give them for the same labels"
    )
    if "reduced" in metrics:
        reduced = metrics["reduced"]
        lines.append(
            f"{manifest.dim} directions, found on {reduced['found_on_photos']} photos, keep "
            f"{reduced['mean_kept']:.3f} of other photos' embeddings; cosines change by "
            f"{reduced['mean_change_of_cosines']:.4f}"
        )
    lines.append(
        f"compared on {metrics['parity_photos']} photos; try it: WHICHONE_BUNDLE={bundle.folder} whichone serve"
    )
    return "\n".join(lines)


def _megabytes(bundle: Bundle) -> float:
    return sum((bundle.folder / name).stat().st_size for name in bundle.manifest.files) / 1e6
