"""Rows of texts from a CSV or a Parquet file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from index.evaluation.protocols.photo_lists import table_rows
from training.errors import PhotosUnusable

__all__ = ["rows_of"]


def rows_of(path: Path, needed: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Where each row stands ("photos.csv, line 7"; "photos.parquet, row 6") and its cells.

    A Parquet cell becomes the text that a CSV would hold: nothing for null, "a,b" for a list.

    Raises:
        ManifestInvalid: a CSV that is none, or lacks a column.
        PhotosUnusable: the same of a Parquet file; or pyarrow, which reads them, is not installed.
    """
    if path.suffix.lower() in (".parquet", ".pq"):
        yield from _parquet_rows(path, needed)
        return
    for line, row in table_rows(path, needed):
        yield f"{path}, line {line}", row


def _parquet_rows(path: Path, needed: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        import pyarrow  # noqa: PLC0415  (an extra: only those who need it pay for it)
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError:
        raise PhotosUnusable(
            f"{path} is a Parquet file, and reading those needs a package that is not installed here; "
            "pip install 'whichone[parquet]', or give a CSV.",
            file=str(path),
        ) from None
    try:
        # Not read_table: that takes "a=1" in a folder's name for a column.
        with pyarrow.parquet.ParquetFile(path) as file:
            columns: list[str] = file.schema_arrow.names
            absent = [name for name in needed if name not in columns]
            if absent:
                raise PhotosUnusable(
                    f"{path}: no column {absent[0]!r}; came {','.join(columns)}; needed {','.join(needed)}",
                    file=str(path),
                    column=absent[0],
                )
            number = 0
            for batch in file.iter_batches():
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}, row {number}", {name: _text(value) for name, value in row.items()}
    except FileNotFoundError:
        raise PhotosUnusable(f"{path}: there is no such file", file=str(path)) from None
    except (OSError, pyarrow.ArrowException) as error:
        raise PhotosUnusable(f"{path}: cannot be read as Parquet: {error}", file=str(path)) from error


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ",".join(_text(part) for part in value)
    return str(value).strip()
