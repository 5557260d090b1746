"""Labelled queries as a gallery learns from them."""

from __future__ import annotations

import numpy as np
from sqlalchemy.orm import Session

from index.labelled import LabelledQueries
from index.verification import LocalFeatures
from service.feedback.repository import LabelledQueryRepository
from service.gallery.model import Model
from service.models import Gallery, LabelledQueryRow

__all__ = ["labelled_queries"]


def labelled_queries(session: Session, gallery: Gallery, model: Model) -> LabelledQueries | None:
    """What has been said about a gallery's answers, as far as the model can compare with it; None if nothing has."""
    rows = LabelledQueryRepository(session, gallery).with_vectors(model.sha256)
    if not rows:
        return None
    local = [_features(row, model.verifier.method) for row in rows]
    return LabelledQueries(
        embeddings=np.stack([np.frombuffer(row.embedding, "<f4") for row in rows]),
        # Whoever says of two photos that they show nothing known has not said that they show the same.
        labels=[f"unnamed {row.id}" if row.label is None else row.label for row in rows],
        # Where most have none, verification is judged by the gallery's own photos.
        local=local if 2 * sum(one is not None for one in local) > len(local) else None,
    )


def _features(row: LabelledQueryRow, method: str) -> LocalFeatures | None:
    """Those that the verifier can compare."""
    if not row.local:
        return None
    features = LocalFeatures.from_bytes(row.local)
    return features if features.method == method else None
