"""A bundle fitted to somebody's own photos, without a GPU: `whichone adapt` from top to bottom.

photos -> embedded once, with views -> maps tried on folds -> the best, if it hurts nothing -> fitted on all -> bundle
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embedding.bundle import Bundle
from embedding.embedder import Embedder
from training.adapt.adapted_bundle import check_new_name, write_adapted
from training.adapt.choosing import Method, Outcome, better, candidates, try_all
from training.adapt.features import embed_listing
from training.adapt.trial import Figures, folds
from training.data.listing import read_listing
from training.export.checkpoint_manifest import checked_manifest
from training.export.whole_folder import refuse_taken

__all__ = ["Adapted", "adapt_bundle"]

VIEWS = 2
"""Simulated re-photographs of each photo that are learned from."""

SEED = 0


@dataclass(frozen=True)
class Adapted:
    """What came of it.

    Attributes:
        outcomes: of everything that was tried.
        chosen: the one that was taken; None where nothing was better.
        bundle: the new one; None where nothing was better.
        photos, labels: how many were learned from.
        before: the figures of the bundle as it is.
    """

    outcomes: tuple[Outcome, ...]
    chosen: Outcome | None
    bundle: Bundle | None
    photos: int
    labels: int
    before: Figures


def adapt_bundle(
    source: str | Path,
    bundle: Bundle,
    out: Path,
    *,
    method: Method = "auto",
    name: str | None = None,
    version: str = "1",
    views: int = VIEWS,
    cache: Path | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Adapted:
    """Adapt a bundle to photos, if that makes it better.

    Photos that the list calls test are left out; those without a label count as strangers when maps are compared.

    Args:
        source: see `training.data.listing.read_listing`.
        bundle: to adapt.
        out: folder of the new bundle; not written where nothing is better.
        method: what is tried.
        name: of the new bundle; None for the old one's with "-adapted".
        version: of the new bundle.
        views: of each photo that are learned from, too.
        cache: file that keeps vectors from run to run; None keeps none.
        progress: told what is done.

    Raises:
        PhotosUnusable, RunFailed: the list, or a photo, cannot be used; too few labels have two photos.
        OutputRefused: `out` holds something.
        RecipeInvalid, BundleInvalid: name or version cannot be used.
    """
    name = name or f"{bundle.manifest.name}-adapted"
    refuse_taken(out)
    check_new_name(bundle, name, version)
    checked_manifest(**bundle.manifest.model_dump() | {"name": name, "version": version})
    photos = [photo for photo in read_listing(source) if photo.part != "test"]
    features = embed_listing(photos, Embedder(bundle), views=views, cache=cache, progress=progress)
    outcomes = try_all(list(candidates(method)), list(folds(features, seed=SEED)), progress)
    chosen = better(outcomes)
    new = None
    if chosen is not None:
        done = {
            "method": chosen.candidate.name,
            "photos": len(features),
            "labels": len(features.places()),
            "views": views,
            "seed": SEED,
        }
        map_ = chosen.candidate.fit(features)
        new = write_adapted(bundle, out, map_, name=name, version=version, done=done, measured=_measured(chosen))
    return Adapted(tuple(outcomes), chosen, new, len(features), len(features.places()), _before(outcomes))


def _before(outcomes: list[Outcome]) -> Figures:
    return Figures(*np.nanmean(outcomes[0].before, axis=0).tolist())


def _measured(chosen: Outcome) -> dict[str, Any]:
    """For the manifest: means over the folds."""
    return {
        "before_adaptation": asdict(Figures(*np.nanmean(chosen.before, axis=0).tolist())),
        "after_adaptation": asdict(chosen.mean),
        "gains": asdict(chosen.gains),
        "standard_error_of_mean_gain": chosen.error,
    }
