"""The gallery's answers and JSON bodies."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from index.tuning import Choice
from service.gallery.pins import PinAnswer
from service.models import ItemRow, PinRow

__all__ = [
    "CalibrateBody",
    "CalibrationAnswer",
    "ChoiceInfo",
    "EnrolledList",
    "EnrolledPhoto",
    "GalleryInfo",
    "GalleryList",
    "GenerationAnswer",
    "ItemInfo",
    "ItemList",
    "ItemPatch",
    "LabelCount",
    "LabelList",
    "LabelPatch",
    "LabelRemoved",
    "LabelRenamed",
    "PinAnswered",
    "PinInfo",
    "PinList",
    "PublishBody",
    "PublishedAnswer",
    "RollbackBody",
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class EnrolledPhoto(BaseModel):
    """A photo that is in the gallery now; `duplicate` when it was, with this label, before."""

    id: str
    label: str | None
    sha256: str
    duplicate: bool


class EnrolledList(BaseModel):
    """One entry a photo, in the order they were sent."""

    items: list[EnrolledPhoto]


class ItemInfo(BaseModel):
    """An item (or a distractor, whose label is null)."""

    id: str
    kind: Literal["item", "distractor"]
    label: str | None
    sha256: str
    external_id: str | None
    metadata: dict[str, Any]
    width: int
    height: int
    created_at: datetime

    @classmethod
    def of(cls, row: ItemRow) -> ItemInfo:
        """A database row as callers see it."""
        return cls(
            id=row.id,
            kind="item" if row.kind == "item" else "distractor",
            label=row.label or None,
            sha256=row.image_sha256,
            external_id=row.external_id,
            metadata=row.item_metadata,
            width=row.width,
            height=row.height,
            created_at=row.created_at,
        )


class ItemList(BaseModel):
    """A page. `next` is the `after` of the following page, null on the last; `total` counts all that match."""

    items: list[ItemInfo]
    next: str | None
    total: int


class ItemPatch(_Body):
    """What to change of an item; absent members stay as they are."""

    label: str | None = None
    external_id: str | None = None
    metadata: dict[str, Any] | None = None


class LabelCount(BaseModel):
    """A label and its number of items."""

    label: str
    items: int


class LabelList(BaseModel):
    """Every label of the gallery, by name."""

    labels: list[LabelCount]


class LabelPatch(_Body):
    """The new name; one that another label has merges the two."""

    label: str


class LabelRenamed(BaseModel):
    """`items` now carry the label; `dropped` photos it had already; `merged` if it existed before."""

    label: str
    items: int
    dropped: int
    merged: bool


class LabelRemoved(BaseModel):
    """How many items went with the label."""

    label: str
    removed: int


class ChoiceInfo(BaseModel):
    """Whether a gallery uses a part of the pipeline (`adaptation`, `centring`, `ranking`, `verification`), and why.

    `why`: `on` or `off`: so say the settings; `measured`: the gallery asked itself, and got a share `right_without` and
    `right_with` of so many `queries` right; `default`: it is too small to ask itself. Of `ranking`, what is used or not
    is another form of scoring labels than the blend; `form` is the best of those.
    """

    part: str
    used: bool
    why: str
    right_without: float | None
    right_with: float | None
    queries: int
    form: str | None

    @classmethod
    def of(cls, choice: Choice) -> ChoiceInfo:
        """A choice as callers see it."""
        return cls(
            part=choice.part,
            used=choice.used,
            why=choice.why,
            right_without=choice.without,
            right_with=choice.with_,
            queries=choice.queries,
            form=choice.form,
        )


class GalleryInfo(BaseModel):
    """A gallery.

    `unknown_share` is what it was told; null where the server's settings hold.
    `generation` is the one published last, 0 before the first; while `pinned`, exactly that generation is served.
    `choices` is empty before the first calibration. `without_features` of the items cannot be verified before
    `whichone index refresh`: they are of an older version, or were added while verification was off.
    """

    name: str
    items: int
    labels: int
    distractors: int
    without_features: int
    bundle_sha256: str
    far_budget: float
    unknown_share: float | None
    change: int
    generation: int
    generations: list[int]
    pinned: bool
    choices: list[ChoiceInfo]
    created_at: datetime


class GalleryList(BaseModel):
    """Every gallery, by name."""

    galleries: list[GalleryInfo]


class CalibrateBody(_Body):
    """Nothing, or what to calibrate for from now on.

    `far_budget` is the share of photos of unknown things that may be called known. `unknown_share` is the share of
    questions that show nothing of the gallery, as far as that is known: confidences are right for that share; null
    goes back to what the server's settings say. What is left out stays as it is.
    """

    far_budget: Annotated[float | None, Field(gt=0, lt=1)] = None
    unknown_share: Annotated[float | None, Field(gt=0, lt=1)] = None


class CalibrationAnswer(BaseModel):
    """The calibration now in use."""

    gallery: str
    threshold: float
    far_budget: float
    unknown_share: float | None
    calibration: dict[str, Any]
    choices: list[ChoiceInfo]


class PublishBody(_Body):
    """Nothing (the engine of the generation in use), or an engine in short form: `flat`, `ivf`, `hnsw,m=32`, ...

    A generation that breaks a pin is not published unless `force` says so.
    """

    engine: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    force: Annotated[bool, Field(strict=True, description="Publish although it breaks pins.")] = False


class RollbackBody(_Body):
    """Nothing (the generation before the current), or the number to go back to."""

    generation: Annotated[int | None, Field(ge=1)] = None


class GenerationAnswer(BaseModel):
    """The generation now served.

    `engine`: what searches its vectors, with its parameters as tuned; `recall`: recall@10 against exact search on
    queries like those to come, null for exact engines.
    """

    gallery: str
    generation: int
    engine: str
    recall: float | None
    change: int
    items: int
    labels: int
    distractors: int
    pinned: bool


class PublishedAnswer(GenerationAnswer):
    """The generation now served; pins that it breaks (`force`), and older generations that were deleted for it."""

    broken_pins: list[PinAnswer]
    removed: list[int]


class PinInfo(BaseModel):
    """A pinned photo, and the label that it must be known as; null where it must not be known."""

    id: str
    label: str | None
    sha256: str
    created_at: datetime

    @classmethod
    def of(cls, row: PinRow) -> PinInfo:
        """A database row as callers see it."""
        return cls(id=row.id, label=row.label, sha256=row.image_sha256, created_at=row.created_at)


class PinAnswered(PinInfo):
    """A pin, and how the gallery answers it now."""

    answer: PinAnswer


class PinList(BaseModel):
    """Every pin of the gallery, oldest first."""

    pins: list[PinInfo]
