"""`whichone migrate`: what a step before the servers' own start needs of it."""

from __future__ import annotations

import sqlite3


def test_it_makes_the_tables_and_may_come_again(whichone, tmp_path):
    data, nowhere = tmp_path / "data", str(tmp_path / "no-bundle")
    for _ in range(2):
        done = whichone("migrate", data=data, WHICHONE_BUNDLE=nowhere)
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"up to date" in done.stdout
    with sqlite3.connect(data / "whichone.db") as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    assert {"items", "galleries", "alembic_version"} <= tables


def test_what_cannot_be_migrated_is_said_in_a_line(whichone, tmp_path):
    assert whichone("migrate", data=tmp_path).returncode == 0
    with sqlite3.connect(tmp_path / "whichone.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'of the future'")
    connection.close()
    newer = whichone("migrate", data=tmp_path)
    assert (newer.returncode, newer.stderr.count(b"\n")) == (2, 1)
    assert b"newer Whichone" in newer.stderr
    away = whichone("migrate", data=tmp_path, WHICHONE_DATABASE_URL="postgresql://u:hidden@127.0.0.1:1/none")
    assert (away.returncode, away.stderr.count(b"\n")) == (2, 1)
    assert b"does not answer" in away.stderr
    assert b"hidden" not in away.stderr
