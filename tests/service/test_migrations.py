"""Migrations give what the models say, and from the baseline on only add (docs/operations.md, Upgrade and rollback)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from migration_rule import BASELINE, faults, name_faults

import service
from service.database import Database, fits
from service.models import Base
from service.settings import Settings

REFERRED = "items.number"


@pytest.fixture
def opened(tmp_path: Path, database: str | None) -> Iterator[Database]:
    """An empty database."""
    (tmp_path / "data").mkdir()
    found = Database(Settings.load({}, data=tmp_path / "data", database_url=database))
    yield found
    found.close()


@pytest.fixture
def migrated(opened: Database) -> Database:
    opened.migrate()
    return opened


def scripts() -> list[Script]:
    """The migrations, oldest first."""
    folder = Path(service.__file__).parent / "migrations"
    return list(ScriptDirectory(str(folder)).walk_revisions())[::-1]


def test_nothing_is_left_to_migrate(migrated: Database) -> None:
    """Constraints, too, are as in the models, and types where they bind: SQLite's columns hold what they are given."""
    with migrated.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": not migrated.is_sqlite})
        assert compare_metadata(context, Base.metadata) == []


def test_migrations_since_the_baseline_only_add(opened: Database) -> None:
    found: dict[str, list[str]] = {}
    with opened.engine.begin() as connection:
        for script in scripts():
            found[script.revision] = faults(connection, script.module.upgrade)
    since = [(revision, not wrong) for revision, wrong in found.items() if revision > BASELINE]
    assert name_faults(since) == [], found
    # Two before it did more: rows were changed, and rows had to be unique.
    assert {revision for revision in found if found[revision] and revision <= BASELINE} == {"0002", "0004"}


def _shorten_the_labels() -> None:
    with op.batch_alter_table("items") as table:
        table.alter_column("label", type_=sa.String(20), existing_nullable=False)


GOOD: dict[str, Callable[[], None]] = {
    "a table": lambda: op.create_table("notes", sa.Column("id", sa.Integer(), primary_key=True)),
    "a table of rows that go with an item": lambda: op.create_table(
        "notes", sa.Column("item", sa.Integer(), sa.ForeignKey(REFERRED, ondelete="CASCADE"))
    ),
    "a column": lambda: op.add_column("items", sa.Column("colour", sa.String(20), nullable=True)),
    "a column with a default": lambda: op.add_column(
        "items", sa.Column("colour", sa.String(20), nullable=False, server_default="")
    ),
    "an index": lambda: op.create_index("ix_items_width", "items", ["width"]),
}

BAD: dict[str, Callable[[], None]] = {
    "DROP TABLE": lambda: op.drop_table("pins"),
    "RENAME TO": lambda: op.rename_table("pins", "needles"),
    "RENAME COLUMN": lambda: op.execute("ALTER TABLE pins RENAME COLUMN label TO name"),
    "DROP COLUMN": lambda: op.drop_column("items", "width"),
    "UPDATE": lambda: op.execute("UPDATE galleries SET generation = 0"),
    "DELETE": lambda: op.execute("DELETE FROM calibrations"),
    "INSERT": lambda: op.execute("INSERT INTO audit SELECT * FROM audit"),
    "UNIQUE": lambda: op.create_index("ix_items_width", "items", ["width"], unique=True),
    "holds rows": lambda: op.create_table("notes", sa.Column("item", sa.Integer(), sa.ForeignKey(REFERRED))),
    "items": _shorten_the_labels,
    "NOT NULL|has to be filled": lambda: op.add_column("items", sa.Column("colour", sa.String(20), nullable=False)),
}


@pytest.mark.parametrize("what", GOOD)
def test_what_a_migration_may_do(migrated: Database, what: str) -> None:
    with migrated.engine.begin() as connection:
        assert faults(connection, GOOD[what]) == []


@pytest.mark.parametrize("told", BAD)
def test_what_a_migration_may_not_do(migrated: Database, told: str) -> None:
    with migrated.engine.connect() as connection:
        found = faults(connection, BAD[told])
        connection.rollback()
    assert any(part in " ".join(found) for part in told.split("|")), found


@pytest.mark.parametrize(
    ("chain", "told"),
    [
        ([("0007_fits_0006", True), ("0008_fits_0006", True), ("0009_fits_0008", False)], ""),
        ([("0007", True)], "not of the form"),
        ([("0007_fits_0004", True)], "there is no 0004"),
        ([("0007_fits_0008", True)], "there is no 0008"),
        ([("0007_fits_0006", False)], "takes away"),
        ([("0007_fits_0007", False), ("0008_fits_0006", True)], "fits none after it"),
    ],
)
def test_how_a_migration_is_named(chain: list[tuple[str, bool]], told: str) -> None:
    found = name_faults(chain)
    assert [told in fault for fault in found] == ([True] if told else []), found


def test_a_program_fits_what_it_knows_and_what_says_so() -> None:
    known = ["0001", "0005", "0006_fits_0005"]
    for revision in ("0001", "0006_fits_0005", "0007_fits_0005", "0009_fits_0006"):
        assert fits(revision, known)
    for revision in ("0007", "0007_fits_0007", "0007_fits_0004", "", "0007_fits_0005_", "of the future"):
        assert not fits(revision, known)
