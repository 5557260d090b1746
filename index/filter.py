"""Which part of a gallery a query is asked about: some labels, some metadata, or both.

A filter narrows the photos that a search may answer with, so that the verdict is the one of a gallery that holds these
photos alone: labels that the filter leaves out are no candidates, and of a label whose photos match in part, those that
match nominate and score it. What the gallery learned of itself stays as it is: its adaptation, and the calibration with
its threshold.

So the false-accept budget is the whole gallery's, and is not promised for a part. Fewer labels can be taken for a
stranger, but those that are left have fewer rivals, and with that a larger margin and share. A photo of a label that
the filter leaves out is a stranger, and one that resembles the gallery more than most. A label that stands alone has
no margin, so it must be more alike to be known.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from index.engines import Selection
from index.engines.protocol import Numbers
from index.items import ItemTable

__all__ = [
    "LARGEST",
    "MOST_CHARACTERS",
    "MOST_CONDITIONS",
    "MOST_LABELS",
    "Filter",
    "Scalar",
    "absent_labels",
    "selected",
]

MOST_LABELS = 1000
MOST_CONDITIONS = 8

MOST_CHARACTERS = 1000
"""Of a name or a text in a condition."""

LARGEST = 2**53 - 1
"""Whole numbers beyond are rounded by some databases, as by many readers of JSON (RFC 7493, section 2.2)."""

_Whole = Annotated[StrictInt, Field(ge=-LARGEST, le=LARGEST)]
_Text = Annotated[StrictStr, Field(max_length=MOST_CHARACTERS)]

Scalar: TypeAlias = StrictBool | _Whole | StrictFloat | _Text | None
"""A value to compare metadata with. 3 and 3.0 are one number; "3" and true are others than 3 and 1."""


class Filter(BaseModel):
    """Photos that carry one of `labels` and whose metadata has all of `where`.

    Attributes:
        labels: distinct, in order; None for all.
        where: what top-level members of the metadata must be equal to, in order of their names; null is met by a member
            that is null, not by one that is missing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    labels: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_LABELS)] | None = None
    where: dict[_Text, Scalar] = Field(default_factory=dict, max_length=MOST_CONDITIONS)

    @model_validator(mode="after")
    def _in_order(self) -> Filter:
        # One spelling for one filter: what was found for it is kept under its JSON.
        if self.labels is not None:
            object.__setattr__(self, "labels", tuple(sorted(set(self.labels))))
        object.__setattr__(self, "where", dict(sorted(self.where.items())))
        return self


def absent_labels(table: ItemTable, labels: Iterable[str]) -> list[str]:
    """Those of `labels` that no photo carries."""
    return [label for label in labels if len(table.of_label(label)) == 0]


def selected(table: ItemTable, labels: Iterable[str] | None, numbers: Numbers | None = None) -> Selection:
    """The photos that carry one of `labels` (None for any) and are among `numbers` (n,), ascending (None for any)."""
    if labels is None:
        return Selection.without([]) if numbers is None else Selection(numbers)
    carrying = Selection.only(np.concatenate([np.empty(0, np.int64), *(table.of_label(label) for label in labels)]))
    return carrying if numbers is None else carrying & Selection(numbers)
