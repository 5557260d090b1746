"""CSVs that list photos: `path,label`, and if they like `external_id` and `metadata` (a JSON object)."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from embedding.errors import InputError
from service.gallery.words import external_id_of, metadata_of
from service.jobs.errors import EntryRefused, NoPhotos
from service.jobs.listing import Showing

__all__ = ["Row", "rows_of"]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; `problem` where it cannot be used.

    Attributes:
        path: of the photo, as written.
        label: None for a distractor.
    """

    line: int
    path: str
    label: str | None
    external_id: str | None
    metadata: dict[str, Any] | None
    problem: InputError | None


def rows_of(file: TextIO, name: str, showing: Showing, *, max_metadata: int) -> Iterator[Row]:
    """Every line of a table. One that cannot be used says why, and stops no other.

    Args:
        name: of the table, for messages.
        max_metadata: most bytes of a photo's metadata.

    Raises:
        NoPhotos: it is no UTF-8 CSV, or a column is absent.
    """
    try:
        reader = csv.DictReader(file, skipinitialspace=True)
        needed = ["path"] if showing.said else ["path", "label"]
        absent = [column for column in needed if column not in (reader.fieldnames or [])]
        if absent:
            came = ",".join(reader.fieldnames or [])[:200] or "nothing"
            raise NoPhotos(f"{name}, line 1: no column {absent[0]!r}; came {came}", path=name, line=1)
        for cells in reader:
            yield _row(f"{name}, line {reader.line_num}", reader.line_num, cells, showing, max_metadata)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise NoPhotos(f"{name}: cannot be read as a UTF-8 CSV: {error}", path=name) from error


def _row(where: str, line: int, cells: Mapping[str | None, str | None], showing: Showing, max_metadata: int) -> Row:
    def cell(column: str) -> str:
        return (cells.get(column) or "").strip()

    path = cell("path")
    label = None if showing.distractors else showing.label or cell("label")
    external_id, metadata, problem = None, None, None
    try:
        if None in cells or None in cells.values():
            raise EntryRefused(f"{where}: not as many fields as the header has")
        if not path or label == "":
            column = "path" if not path else "label"
            raise EntryRefused(f"{where}, column {column!r}: it is empty")
        external_id = external_id_of(cell("external_id"))
        metadata = metadata_of(cell("metadata"), max_metadata) if cell("metadata") else None
    except InputError as error:
        error.details.setdefault("line", line)
        if not isinstance(error, EntryRefused):
            error.message = f"{where}: {error.message}"
        problem = error
    return Row(line, path, label, external_id, metadata, problem)
