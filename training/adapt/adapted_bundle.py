"""A bundle with a map folded in: new graph, new statistics, a name of its own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedding.bundle import Bundle, write_manifest
from embedding.embedder import Embedder
from embedding.manifest import DISTRACTORS, MANIFEST
from embedding.preprocess import preprocess
from training.adapt.graph import append_map
from training.adapt.trial import Map, apply
from training.errors import RecipeInvalid
from training.export.checkpoint_manifest import checked_manifest
from training.export.onnx_graph import OUTPUT, ParityError, run_graph
from training.export.package_photos import load_package_photos
from training.export.whole_folder import whole_folder

__all__ = ["check_new_name", "write_adapted"]

MAY_DIFFER = 1e-5
"""Between an embedding by the new graph and the old one's embedding through the map."""

NOTE = """
Adapted: a linear map of {dim} x {dim} numbers, learned from its owner's own photos, was appended to the models, and the
embeddings in {distractors} went through it.
"""


def check_new_name(old: Bundle, name: str, version: str) -> None:
    """Raises: RecipeInvalid: the new bundle would be called as the old one is."""
    if (name, version) == (old.manifest.name, old.manifest.version):
        raise RecipeInvalid(
            f"The adapted bundle would be called {old.id} like the one that it comes from, whose galleries it does not "
            "fit; give another name or version."
        )


def write_adapted(
    old: Bundle, out: Path, map_: Map, *, name: str, version: str, done: dict[str, Any], measured: dict[str, Any]
) -> Bundle:
    """Write the new bundle, whole or not at all.

    Where a bundle averages several views of a photo, its statistics go through the map after the average, its photos
    before it; the two differ little.

    Args:
        old: to adapt.
        out: folder, not there yet or empty.
        map_: (d, d).
        name, version: of the new one.
        done: how the map was made, for the manifest's recipe.
        measured: for its metrics.

    Raises:
        RecipeInvalid: name and version are the old one's.
        BundleInvalid: they are no name and version.
        ParityError: the new graph does not compute the map.
        OutputRefused: `out` holds something.
    """
    check_new_name(old, name, version)
    dim = old.manifest.dim
    manifest = checked_manifest(
        **old.manifest.model_dump(exclude={"name", "version", "files", "recipe", "metrics"}),
        name=name,
        version=version,
        recipe={"adapted_from": {"bundle": old.id, "sha256": old.sha256}, **done, "before": old.manifest.recipe},
        metrics={**measured, "before": old.manifest.metrics},
    )
    with whole_folder(out) as folder:
        for file in old.manifest.files:
            shutil.copyfile(old.folder / file, folder / file)
        for file in set(old.manifest.models.values()):
            append_map(old.folder / file, folder / file, map_)
            _check(old, folder, file, map_)
        if DISTRACTORS in old.manifest.files:
            np.savez(
                folder / DISTRACTORS,
                embeddings=apply(map_, old.distractors()),
                views=apply(map_, old.distractor_views()),
            )
        with (folder / "NOTICE").open("a", encoding="utf-8") as notice:
            notice.write(NOTE.format(dim=dim, distractors=DISTRACTORS))
        (folder / CARD).unlink(missing_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)
        Embedder(write_manifest(folder, manifest)).embed(load_package_photos()[:1])
    return Bundle.open(out)


CARD = "MODEL_CARD.md"
"""Describes the old bundle, and would flatter or wrong the new one."""


def _check(old: Bundle, folder: Path, file: str, map_: Map) -> None:
    photos = np.stack([preprocess(photo, old.manifest.preprocess) for photo in load_package_photos()[:4]])
    expected = apply(map_, _embeddings(old.folder / file, photos))
    difference = float(np.abs(_embeddings(folder / file, photos) - expected).max())
    if not difference <= MAY_DIFFER:
        raise ParityError(f"{file}: the adapted graph differs from the map by {difference:.1e} (allowed {MAY_DIFFER})")


def _embeddings(path: Path, photos: NDArray[np.float32]) -> NDArray[np.float32]:
    return run_graph(path, photos)[OUTPUT]
