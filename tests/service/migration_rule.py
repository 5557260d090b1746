"""What a migration may do while the release before goes on working on the database: add, and nothing else.

It is run on a database, and judged by the statements that it sends and the tables that it leaves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, event, inspect
from sqlalchemy.exc import DBAPIError

BASELINE = "0006"
"""The newest migration of the first release. What comes after it keeps to the rule."""

NEVER_DELETED = {"galleries"}
"""Tables whose rows no program deletes: a row of another one that refers to them cannot be in its way."""

READS = re.compile(r"SELECT|PRAGMA|SHOW|WITH", re.IGNORECASE)
ADDS = re.compile(r"CREATE TABLE|CREATE INDEX|ALTER TABLE \S+ ADD COLUMN", re.IGNORECASE)
UNIQUE_INDEX = re.compile(r"CREATE UNIQUE INDEX \S+ ON (\w+)", re.IGNORECASE)
REVISION = re.compile(r"(\d{4})_fits_(\d{4})")


def faults(connection: Connection, upgrade: Callable[[], None]) -> list[str]:
    """What a migration does that the release before may not survive. `connection` is left with it done."""
    tables = set(inspect(connection).get_table_names())
    columns = {table: _columns(connection, table) for table in tables}
    with _recorded(connection) as statements, Operations.context(MigrationContext.configure(connection)):
        try:
            upgrade()
        except DBAPIError as error:
            return [f"it fails: {error.orig}"]
    found = [" ".join(statement.split()) for statement in statements if not _adds(statement, tables)]
    for table in inspect(connection).get_table_names():
        if table in tables:
            added = _columns(connection, table).items() - columns[table].items()
            found += [f"{table}.{name} has to be filled" for name, optional in sorted(added) if not optional]
        else:
            found += _holds_fast(connection, table, tables - NEVER_DELETED)
    return found


def _columns(connection: Connection, table: str) -> dict[str, bool]:
    """Columns, and whether a row may be added without a word about them."""
    found = inspect(connection).get_columns(table)
    return {column["name"]: bool(column["nullable"] or column["default"] is not None) for column in found}


def _adds(statement: str, tables: set[str]) -> bool:
    unique = UNIQUE_INDEX.match(statement)
    if unique is not None:  # rows that an older program adds might be in its way
        return unique[1] not in tables
    return bool(ADDS.match(statement.strip()) or READS.match(statement.strip()))


def _holds_fast(connection: Connection, table: str, tables: set[str]) -> list[str]:
    """Rows of a new table by which those of an old one cannot be deleted any more."""
    return [
        f"{table} holds rows of {key['referred_table']}: let them go with it (ondelete)"
        for key in inspect(connection).get_foreign_keys(table)
        if key["referred_table"] in tables and key["options"].get("ondelete") not in {"CASCADE", "SET NULL"}
    ]


@contextmanager
def _recorded(connection: Connection) -> Iterator[list[str]]:
    statements: list[str] = []

    def record(_connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(connection, "before_cursor_execute", record)
    try:
        yield statements
    finally:
        event.remove(connection, "before_cursor_execute", record)


def name_faults(chain: Sequence[tuple[str, bool]]) -> list[str]:
    """What is wrong with the names of the migrations after the baseline, oldest first, each with whether it only adds.

    `0008_fits_0006` tells a program that knows 0006, and no later one, that it can work on this database.
    """
    found: list[str] = []
    numbers, fits_so_far = [BASELINE], BASELINE
    for name, only_adds in chain:
        parts = REVISION.fullmatch(name)
        if parts is None:
            found.append(f"{name}: not of the form 0008_fits_0006")
            continue
        number, fits = parts.groups()
        numbers.append(number)
        if fits not in numbers:
            found.append(f"{name}: there is no {fits} from the baseline on")
        elif fits < fits_so_far:
            found.append(f"{name}: whoever does not fit the one before fits none after it")
        elif fits == fits_so_far and not only_adds:
            found.append(f"{name}: it takes away, and has to say which programs can do without")
        fits_so_far = max(fits_so_far, fits)
    return found
