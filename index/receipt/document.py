"""What a receipt tells: everything that a verdict was made of, so that anybody can make it again."""

from __future__ import annotations

import base64
import binascii
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from embedding.quality import DefectKind
from index.calibration import Calibration
from index.filter import Filter
from index.pipeline import Pipeline
from index.tuning import Choice
from index.verdict import Reason, VerdictName

__all__ = ["About", "Decision", "LabelTrace", "Learned", "MeasureName", "Photo", "Place", "Receipt", "Term", "Verified"]

MeasureName: TypeAlias = Literal["score", "margin", "penalty", "share"]
"""The fields of `index.calibration.Evidence`."""

Place: TypeAlias = tuple[float, float, float, float]
"""x, y in the query and x, y in the gallery photo, as fractions of the upright photos' widths and heights."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class About(_Part):
    """What was asked, of what.

    Attributes:
        image_sha256: of the query's file.
        box: the region that was looked at, as it was given.
        model, model_sha256: the bundle.
        gallery, change, generation: the state of the gallery; `pinned` when exactly that generation was served.
        filter: the part of the gallery that was asked about; None for all of it.
    """

    image_sha256: str
    box: str | None
    model: str
    model_sha256: str
    gallery: str
    change: int
    generation: int
    pinned: bool
    filter: Filter | None = None


class Learned(_Part):
    """The tuning in use.

    Attributes:
        adaptation_sha256: of `Adaptation.to_bytes`; None where embeddings were compared as they are.
    """

    calibration: Calibration
    verification: bool
    choices: tuple[Choice, ...]
    adaptation_sha256: str | None


class Photo(_Part):
    """A gallery photo that spoke for a label.

    Attributes:
        similarity: cosine, as the gallery's adaptation has it.
        penalty: its mean top-k cosine to the distractors.
        inliers: local features in common with the query; None where it was not verified.
    """

    id: str
    similarity: float
    penalty: float
    inliers: int | None


class Verified(_Part):
    """A gallery photo whose local features were compared with the query's.

    Attributes:
        inliers: how many they have in common.
        distinctive: the same, those counted less that photos of other labels have as well.
        colour_difference: of the places where those lie.
        evidence: what that says (`index.promotion.match_evidence`).
        points: some of the places.
    """

    id: str
    label: str
    inliers: int = Field(ge=0)
    distinctive: float = Field(ge=0)
    colour_difference: float = Field(ge=0)
    evidence: float
    points: tuple[Place, ...]


class Term(_Part):
    """One measure's part in a logit: `contribution` is `weight` times `value`."""

    name: MeasureName
    weight: float
    value: float
    contribution: float


class LabelTrace(_Part):
    """What spoke for one label.

    Attributes:
        holds_photo: it has this very photo.
        similarity: the part of the score that comes from embeddings.
        promotion: the part that comes from verification.
        score: both. The presence that calibration weighs is the similarity and a part of the promotion
            (`index.pipeline.Verification.presence`).
        margin: over the best other label.
        penalty: the query's.
        share: log of the label's part in a softmax of presences over all ranked labels and the distractors.
        match_evidence: of its verified photo that says most; 0 where none was verified.
        terms: of the logit; empty without calibration.
        logit: the terms' sum and the intercept, within the bounds of a calibration; None without one.
        confidence: of the label.
        photos: the one that matched best, if any was verified, then the most similar.
    """

    label: str
    holds_photo: bool
    similarity: float
    promotion: float
    score: float
    margin: float
    penalty: float
    share: float
    match_evidence: float
    terms: tuple[Term, ...]
    logit: float | None
    confidence: float
    photos: tuple[Photo, ...]


class Decision(_Part):
    """The verdict. `defect` is what made the photo unusable."""

    verdict: VerdictName
    reason: Reason
    label: str | None
    confidence: float
    threshold: float
    far_budget: float
    defect: DefectKind | None
    explanation: str


class Receipt(_Part):
    """Attributes:
    embedding: the query's: base64 of little-endian float32.
    pipeline: what is between an embedding and a verdict.
    learned: None for a gallery that was never calibrated.
    penalty: the query's mean top-k cosine to the distractors.
    crowd: log of the sum of exp(presence / temperature) over all labels that were ranked, also those not told of; None
        where no label was.
    strange: the same of cosines over the distractors; None without any.
    verified: the gallery photos that were looked at by local features, in that order.
    holders: labels that have this very photo.
    labels: the best, as the verdict orders them: at least those that it depends on.
    decision: the verdict.
    """

    format: Literal["whichone-receipt/1"]
    about: About
    embedding: str
    pipeline: Pipeline
    learned: Learned | None
    penalty: float
    crowd: float | None
    strange: float | None
    verified: tuple[Verified, ...]
    holders: tuple[str, ...]
    labels: tuple[LabelTrace, ...]
    decision: Decision

    @field_validator("embedding")
    @classmethod
    def _is_a_vector(cls, text: str) -> str:
        try:
            vector = np.frombuffer(base64.b64decode(text, validate=True), "<f4")
        except (binascii.Error, ValueError) as error:
            raise ValueError("not the base64 of 32-bit numbers") from error
        if len(vector) == 0 or not np.isfinite(vector).all():
            raise ValueError("not the base64 of finite numbers")
        return text

    @property
    def vector(self) -> NDArray[np.float32]:
        """The query's embedding, (d,)."""
        return np.frombuffer(base64.b64decode(self.embedding), "<f4").astype(np.float32)
