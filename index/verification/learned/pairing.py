"""Pairs by a network that looks at all features of both photos: LightGlue."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embedding.session import Session
from index.verification.features import LocalFeatures
from index.verification.learned.descriptors import from_bytes
from index.verification.learned.manifest import LearnedManifest
from index.verification.matching import Pairs, refuse_mixed

__all__ = ["centred", "paired"]


def paired(query: LocalFeatures, gallery: LocalFeatures, session: Session, manifest: LearnedManifest) -> Pairs:
    """Pairs of features, one of each photo, each the other's best and likely enough; in the query's order.

    Raises:
        FeaturesMismatch: the features were extracted by two methods.
    """
    refuse_mixed(query, gallery)
    if len(query) == 0 or len(gallery) == 0:
        return np.empty((0, 2), np.int64)
    feeds = {
        "points0": centred(query)[None],
        "descriptors0": from_bytes(query.descriptors, manifest.steps)[None],
        "points1": centred(gallery)[None],
        "descriptors1": from_bytes(gallery.descriptors, manifest.steps)[None],
    }
    partners, confidences = session.run(["partners", "confidences"], feeds)
    rows = np.flatnonzero(confidences > manifest.confidence)
    return np.stack([rows, partners[rows]], axis=1).astype(np.int64)


def centred(features: LocalFeatures) -> NDArray[np.float32]:
    """Where features lie, (n, 2): 0 in the photo's middle, -1 to 1 along its longer side."""
    # LightGlue counts pixels from the middle of the first, we from its corner.
    pixels = features.pixels() - 0.5
    return ((pixels - np.array(features.size) / 2) / (max(features.size) / 2)).astype(np.float32)
