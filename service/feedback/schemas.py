"""The answers of `/feedback`."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from service.feedback.service import Judged, Said

__all__ = ["FeedbackAnswer", "FeedbackInfo", "FeedbackList"]


class FeedbackInfo(BaseModel):
    """What somebody has said of a photo that was asked about.

    `label` is what it shows; null for something without a name. `known` tells whether the gallery has that label: if
    not, the photo shows a stranger. `enrolled`: the gallery has this very photo, and learns nothing from it. `box` is
    the part that is meant, null for the whole.
    """

    id: str
    label: str | None
    known: bool
    enrolled: bool
    sha256: str
    box: str | None
    created_at: datetime

    @classmethod
    def of(cls, said: Said) -> FeedbackInfo:
        """A labelled query as callers see it."""
        row = said.row
        return cls(
            id=row.id,
            label=row.label,
            known=said.known,
            enrolled=said.enrolled,
            sha256=row.image_sha256,
            box=row.box or None,
            created_at=row.created_at,
        )


class FeedbackAnswer(FeedbackInfo):
    """What was said. `duplicate`: in the same words as before; `replaced`: another label had been said before."""

    duplicate: bool
    replaced: bool

    @classmethod
    def of(cls, said: Said) -> FeedbackAnswer:
        """What is answered to whoever said it."""
        return cls(**FeedbackInfo.of(said).model_dump(), duplicate=said.duplicate, replaced=said.replaced)


class FeedbackList(BaseModel):
    """All that was said, newest first.

    `known` of them show something that the gallery has, `unknown` are strangers to it; photos that are enrolled do not
    count. From `needed` known ones on the gallery is calibrated on them, and no longer on its own photos.
    """

    known: int
    unknown: int
    needed: int
    feedback: list[FeedbackInfo]

    @classmethod
    def of(cls, judged: Judged) -> FeedbackList:
        """The labelled queries of a gallery."""
        return cls(
            known=judged.known,
            unknown=judged.unknown,
            needed=judged.needed,
            feedback=[FeedbackInfo.of(said) for said in judged.said],
        )
