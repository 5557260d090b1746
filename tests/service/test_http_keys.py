"""Keys: who may call what, and that nothing but their hash is kept."""

from __future__ import annotations

import hashlib
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import harness
import httpx
import pytest
from alembic import command
from alembic.config import Config
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

import service
from service.database import Database
from service.errors import (
    DuplicateItem,
    ExpiredKey,
    FieldInvalid,
    InvalidGalleryName,
    InvalidSetting,
    KeyNotRotatable,
    UnknownKey,
    WrongKey,
)
from service.keys.service import KeyService
from service.keys.uses import KeyUses
from service.keys.words import duration_of, end_of
from service.settings import Settings
from service.workspace import open_workspace

PHOTO = {"image": ("p.jpg", harness.jpeg(1))}


def workspace_settings(data: Path, bundle: Path) -> Settings:
    return Settings.load({}, data=data, bundle=bundle, threads=1)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_who_lacks_a_key_is_told_where_it_goes(server: harness.Server) -> None:
    with httpx.Client(base_url=server.url) as stranger:
        answer = stranger.post("/index")
        assert code(answer) == (401, "missing_key")
        assert "X-API-Key" in answer.headers["www-authenticate"]


def test_on_loopback_asking_and_reading_are_open_but_a_wrong_key_is_not_ignored(server: harness.Server) -> None:
    with httpx.Client(base_url=server.url) as stranger:
        assert stranger.post("/recognize", files=PHOTO).status_code == 200
        assert stranger.get("/labels").status_code == 200
        wrong = {"X-API-Key": "wo_wrong"}
        assert code(stranger.post("/recognize", files=PHOTO, headers=wrong)) == (401, "wrong_key")


def test_rotation_revocation_and_last_use_between_processes(tmp_path: Path, bundle: Path) -> None:
    """What the command does holds in the server from the next request on."""
    data = tmp_path / "data"
    with (
        harness.serving(data, bundle, host="0.0.0.0") as server,
        httpx.Client(base_url=server.url.replace("0.0.0.0", "127.0.0.1")) as stranger,
        open_workspace(workspace_settings(data, bundle)) as workspace,
    ):
        keys = workspace.keys

        def met(key: str) -> tuple[int, str | None]:
            answer = stranger.post("/recognize", files=PHOTO, headers={"X-API-Key": key})
            return answer.status_code, answer.json().get("code")

        def last_use() -> datetime | None:
            [info] = [info for info in keys.list() if info.name == "phone"]
            return info.last_used_at

        first = keys.create("phone")
        began = datetime.now(UTC)
        assert last_use() is None
        assert met(first) == (200, None)
        harness.until("the last use", lambda: last_use() is not None)
        used = last_use()
        assert used is not None
        assert began <= used <= datetime.now(UTC)
        second, info = keys.rotate("phone", grace=timedelta(hours=1))
        assert info.previous_until is not None
        assert met(first) == met(second) == (200, None)
        third, _ = keys.rotate("phone", grace=timedelta(0))
        assert (met(first), met(second), met(third)) == ((401, "wrong_key"), (401, "expired_key"), (200, None))
        keys.revoke("phone")
        assert met(second) == met(third) == (401, "wrong_key")
        with pytest.raises(KeyNotRotatable, match="revoked"):
            keys.rotate("phone", grace=timedelta(0))


def test_open_recognize_opens_asking_and_nothing_else(tmp_path: Path, bundle: Path) -> None:
    with (
        harness.serving(tmp_path / "data", bundle, host="0.0.0.0", open_recognize="true") as server,
        httpx.Client(base_url=server.url.replace("0.0.0.0", "127.0.0.1")) as stranger,
    ):
        assert stranger.post("/recognize", files=PHOTO).status_code == 200
        assert code(stranger.get("/labels")) == (401, "missing_key")
        assert code(stranger.post("/recognize", files=PHOTO, data={"explain": "true"})) == (401, "missing_key")


def test_the_first_admin_key_is_made_and_shown_once(tmp_path: Path, bundle: Path) -> None:
    data = tmp_path / "data"
    with harness.serving(data, bundle, key=None) as server:
        [line] = [line for line in server.log.read_text().splitlines() if "first admin key" in line]
        key = line.split()[-1]
        assert key.startswith("wo_")
        files = {"images": ("p.jpg", harness.jpeg(1))}
        headers = {"X-API-Key": key}
        assert server.post("/index", data={"label": "x"}, files=files, headers=headers).status_code == 201
    with harness.serving(data, bundle, key=None) as server:
        assert "admin key" not in server.log.read_text()
        assert server.client.delete("/labels/x", headers=headers).status_code == 200
    stored = b"".join(path.read_bytes() for path in data.glob("whichone.db*"))
    assert key.encode() not in stored
    assert hashlib.sha256(key.encode()).hexdigest().encode() in stored


def test_another_admin_key_of_the_environment_replaces_the_first(tmp_path: Path, bundle: Path) -> None:
    with open_workspace(workspace_settings(tmp_path / "data", bundle)) as workspace:
        keys = workspace.keys
        assert keys.ensure_admin("the first one") is None
        assert keys.ensure_admin("the first one") is None
        assert keys.check("the first one").allows("admin")
        keys.ensure_admin("the second one")
        with pytest.raises(WrongKey, match="revoked"):
            keys.check("the first one")
        with pytest.raises(InvalidSetting, match="revoked"):
            keys.ensure_admin("the first one")
        assert [(info.origin, info.revoked_at is None) for info in keys.list()] == [
            ("environment", False),
            ("environment", True),
        ]


def test_ends_and_graces(tmp_path: Path, bundle: Path, database: str | None) -> None:
    settings = workspace_settings(tmp_path / "data", bundle).model_copy(
        update={"database_url": None if database is None else SecretStr(database)}
    )
    with open_workspace(settings) as workspace:
        keys, now = workspace.keys, datetime.now(UTC)
        key = keys.create("short", expires_at=now + timedelta(hours=1), rate="5/s", galleries=["b", "a", "b"])
        info = keys.check(key)
        assert (info.galleries, str(info.rate), info.expires_at) == ({"a", "b"}, "5/s", now + timedelta(hours=1))
        _, rotated = keys.rotate("short", grace=timedelta(days=1))
        assert rotated.previous_until == info.expires_at  # the old secret outlives no end that it had
        assert keys.check(key).name == "short"
        keys.create("over", expires_at=now)
        with pytest.raises(KeyNotRotatable, match="--expires"):
            keys.rotate("over", grace=timedelta(0))
        key, _ = keys.rotate("over", grace=timedelta(days=1), expires_at=now + timedelta(days=1))
        assert keys.check(key).name == "over"
        keys.ensure_admin("an environment key")
        with pytest.raises(KeyNotRotatable, match="WHICHONE_ADMIN_KEY"):
            keys.rotate("WHICHONE_ADMIN_KEY", grace=timedelta(0))


def test_a_key_that_was_rotated_away_comes_back_by_no_door(tmp_path: Path, bundle: Path) -> None:
    with open_workspace(workspace_settings(tmp_path / "data", bundle)) as workspace:
        old = workspace.keys.create("ops", ["admin"])
        workspace.keys.rotate("ops", grace=timedelta(0))
        with pytest.raises(InvalidSetting, match="rotated"):
            workspace.keys.ensure_admin(old)
        with pytest.raises(ExpiredKey):
            workspace.keys.check(old)


def test_an_admin_key_is_made_where_none_governs(tmp_path: Path, bundle: Path) -> None:
    """A key that ended, or for some galleries, leaves nobody who could do everything."""
    with open_workspace(workspace_settings(tmp_path / "data", bundle)) as workspace:
        keys = workspace.keys
        keys.create("over", ["admin"], expires_at=datetime.now(UTC))
        keys.create("of one", ["admin"], galleries=["shop"])
        made = keys.ensure_admin(None)
        assert made is not None
        assert keys.check(made).allows("admin")
        assert keys.ensure_admin(None) is None


def test_uses_are_written_once_a_minute_and_kept_while_they_cannot_be(tmp_path: Path, bundle: Path) -> None:
    now = 0.0
    with open_workspace(workspace_settings(tmp_path / "data", bundle)) as workspace:
        keys = workspace.keys
        keys.uses = KeyUses(workspace.database, clock=lambda: now)
        key, other = keys.create("a"), keys.create("b")

        def last() -> list[datetime | None]:
            return [info.last_used_at for info in keys.list()]

        for _ in range(3):
            keys.check(key)
        assert keys.uses.write() == 1
        first = last()
        assert first[0] is not None
        assert first[1] is None
        keys.check(key)
        keys.check(other)
        assert keys.uses.write() == 1  # the other's
        assert last()[0] == first[0]
        now = 60.0
        keys.uses.write()
        assert last()[0] == first[0]  # another process may have written it less than a minute ago
        keys.check(key)
        assert keys.uses.write(all_of_them=True) == 1
        later = last()[0]
        assert later is not None
        assert later > first[0]
        assert keys.uses.write(all_of_them=True) == 0
        with sqlite3.connect(tmp_path / "data" / "whichone.db") as file:
            file.execute("CREATE TRIGGER full BEFORE UPDATE ON api_keys BEGIN SELECT RAISE(ABORT, 'no'); END")
        keys.check(other)  # does not notice
        with pytest.raises(IntegrityError):
            keys.uses.write(all_of_them=True)
        with file:
            file.execute("DROP TRIGGER full")
        file.close()
        assert keys.uses.write(all_of_them=True) == 1


def test_keys_from_before_are_good_for_everything(tmp_path: Path, bundle: Path, database: str | None) -> None:
    """A database of the version before scopes grew: its keys are asked for nothing new."""
    settings = Settings.load({}, data=tmp_path / "data", bundle=bundle, threads=1, database_url=database)
    settings.data.mkdir()
    old = Database(settings)
    with old.engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(service.__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
    with old.engine.begin() as connection:
        row = {"key": hashlib.sha256(b"old secret").hexdigest(), "at": datetime(2026, 1, 2, tzinfo=UTC)}
        connection.execute(
            text(
                "INSERT INTO api_keys (id, name, key_sha256, scopes, origin, created_at) "
                "VALUES (1, 'old', :key, '[\"recognize\"]', 'created', :at)"
            ),
            row,
        )
    old.close()
    with open_workspace(settings) as workspace:
        info = workspace.keys.check("old secret")
        assert (info.name, info.scopes, info.galleries, info.rate) == ("old", ("recognize",), None, None)
        assert (info.expires_at, info.last_used_at, info.revoked_at) == (None, None, None)
        assert info.sees("anything")
        secret, _ = workspace.keys.rotate("old", grace=timedelta(hours=1))
        assert workspace.keys.check(secret).name == workspace.keys.check("old secret").name == "old"


@given(st.integers(0, 999_999), st.sampled_from(["s", "min", "h", "d", "w"]))
def test_lengths_of_time(count: int, unit: str) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    seconds = count * {"s": 1, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}[unit]
    if seconds > 36_500 * 86_400:
        with pytest.raises(FieldInvalid, match="hundred years"):
            duration_of(f"{count}{unit}", "grace")
        return
    assert duration_of(f"{count}{unit}", "grace") == timedelta(seconds=seconds)
    if count:
        assert end_of(f"{count}{unit}", now) - now == timedelta(seconds=seconds)


def test_ends_as_dates() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert end_of("2027-01-31", now) == datetime(2027, 1, 31, tzinfo=UTC)
    assert end_of("2026-01-01T02:00:00+01:00", now) == datetime(2026, 1, 1, 1, tzinfo=UTC)
    for wrong in ("2025-12-31", "0d", "soon", "", "9999-12-31T23:59:59-12:00", "90"):
        with pytest.raises(FieldInvalid, match="`expires`"):
            end_of(wrong, now)


def test_keys_are_made_with_care(tmp_path: Path, bundle: Path) -> None:
    with open_workspace(workspace_settings(tmp_path / "data", bundle)) as workspace:
        keys: KeyService = workspace.keys
        made = {keys.create(f"key {number}") for number in range(5)}
        assert len(made) == 5
        assert all(len(key) > 40 for key in made)
        with pytest.raises(DuplicateItem, match="key 1"):
            keys.create("key 1")
        for name, scopes in (("", ["admin"]), ("x\ny", ["admin"]), ("x" * 101, ["admin"]), ("y", ["root"]), ("y", [])):
            with pytest.raises(FieldInvalid):
                keys.create(name, scopes)
        for galleries in ([], [f"g{number}" for number in range(101)]):
            with pytest.raises(FieldInvalid, match="galleries"):
                keys.create("y", galleries=galleries)
        with pytest.raises(InvalidGalleryName):
            keys.create("y", galleries=["A shop"])
        with pytest.raises(FieldInvalid, match="600/min"):
            keys.create("y", rate="often")
        for change in (keys.revoke, lambda name: keys.rotate(name, grace=timedelta(0))):
            with pytest.raises(UnknownKey, match="'key 0'"):
                change("nobody")
    with sqlite3.connect(tmp_path / "data" / "whichone.db") as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(api_keys)")]
    database.close()
    assert "key" not in columns
