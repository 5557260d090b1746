"""All SQL about what items' metadata is equal to, on SQLite and PostgreSQL.

Metadata is stored as JSON text. A condition compares type and value: "3", 3 and true are three values, 3 and 3.0 one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import JSON, ColumnElement, Text, cast, exists, func, literal, select
from sqlalchemy.orm import Session

from index.filter import LARGEST, Scalar
from service.models import ItemRow

__all__ = ["MetadataRepository"]


class MetadataRepository:
    """Items by their metadata, inside one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def matching(self, gallery_id: int, where: Mapping[str, Scalar], *, since: int = 0) -> NDArray[np.int64]:
        """Numbers of the items stamped later than `since` whose metadata has all of `where`, ascending, (n,)."""
        on_sqlite = self._session.get_bind().dialect.name == "sqlite"
        equal = _equal_on_sqlite if on_sqlite else _equal_on_postgresql
        statement = select(ItemRow.number).where(
            ItemRow.gallery_id == gallery_id,
            ItemRow.kind == "item",
            *([ItemRow.change > since] if since else []),
            *(equal(name, value) for name, value in where.items()),
        )
        return np.sort(np.fromiter(self._session.scalars(statement), np.int64))

    def changed(self, gallery_id: int, since: int) -> NDArray[np.int64]:
        """Numbers of the items and distractors stamped later than `since`, (n,)."""
        statement = select(ItemRow.number).where(ItemRow.gallery_id == gallery_id, ItemRow.change > since)
        return np.fromiter(self._session.scalars(statement), np.int64)


def _equal_on_sqlite(name: str, value: Scalar) -> ColumnElement[bool]:
    # Not a JSON path: no path can name a member whose name holds a quotation mark.
    member = func.json_each(ItemRow.item_metadata).table_valued("key", "type", "atom")
    if value is None:
        same = [member.c.type == "null"]
    elif isinstance(value, bool):
        same = [member.c.type == json.dumps(value)]
    elif isinstance(value, str):
        same = [member.c.type == "text", member.c.atom == value]
    else:
        same = [member.c.type.in_(("integer", "real")), member.c.atom == literal(value)]
    return exists(select(literal(1)).select_from(member).where(member.c.key == name, *same).correlate(ItemRow))


def _equal_on_postgresql(name: str, value: Scalar) -> ColumnElement[bool]:
    # A NUL anywhere in the metadata, which JSON may hold and PostgreSQL's texts may not, would fail the whole query.
    readable = cast(func.replace(cast(ItemRow.item_metadata, Text()), r"\u0000", r"\ufffd"), JSON())
    # The member as json.dumps wrote it: what is not converted cannot fail to be.
    written = cast(readable.op("->", return_type=JSON())(literal(name, Text())), Text())
    return written.in_(_spellings(value))


def _spellings(value: Scalar) -> list[str]:
    """How a value and its equals are written in JSON."""
    equals: list[Scalar] = [value]
    if isinstance(value, int) and not isinstance(value, bool):
        equals.append(float(value))
    elif isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST:
        equals.append(int(value))
    return [json.dumps(equal) for equal in equals]
