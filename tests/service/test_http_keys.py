"""Keys: who may call what, and that nothing but their hash is kept."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import harness
import httpx
import pytest

from service.errors import DuplicateItem, FieldInvalid, InvalidSetting, UnknownKey, WrongKey
from service.keys.service import KeyService
from service.settings import Settings
from service.workspace import open_workspace

PHOTO = {"image": ("p.jpg", harness.jpeg(1))}
ADMIN_CALLS = [
    ("POST", "/index"),
    ("POST", "/index/distractors"),
    ("PATCH", "/index/x"),
    ("DELETE", "/index/x"),
    ("PATCH", "/labels/x"),
    ("DELETE", "/labels/x"),
    ("POST", "/galleries/default/calibrate"),
    ("POST", "/galleries/default/publish"),
    ("POST", "/galleries/default/rollback"),
]
READING_CALLS = [
    ("GET", "/index"),
    ("GET", "/index/x"),
    ("GET", "/index/x/image"),
    ("GET", "/labels"),
    ("GET", "/galleries"),
]
OPEN_CALLS = ["/healthz", "/readyz", "/metrics", "/version"]


def workspace_settings(data: Path, bundle: Path) -> Settings:
    return Settings.load({}, data=data, bundle=bundle, threads=1)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize(("method", "path"), ADMIN_CALLS)
def test_changing_needs_an_admin_key_everywhere(server: harness.Server, method: str, path: str) -> None:
    body = {"json": {"label": "y"}} if method == "PATCH" else {}
    with httpx.Client(base_url=server.url) as stranger:
        answer = stranger.request(method, path, **body)
        assert code(answer) == (401, "missing_key")
        assert "X-API-Key" in answer.headers["www-authenticate"]
        assert code(stranger.request(method, path, headers={"X-API-Key": "wrong"}, **body)) == (401, "wrong_key")
        assert code(stranger.request(method, path, headers={"X-API-Key": ""}, **body))[0] == 401


def test_on_loopback_asking_and_reading_are_open_but_a_wrong_key_is_not_ignored(server: harness.Server) -> None:
    with httpx.Client(base_url=server.url) as stranger:
        assert stranger.post("/recognize", files=PHOTO).status_code == 200
        assert stranger.get("/labels").status_code == 200
        wrong = {"X-API-Key": "wo_wrong"}
        assert code(stranger.post("/recognize", files=PHOTO, headers=wrong)) == (401, "wrong_key")


def test_scopes_and_revocation_hold_on_an_open_address(tmp_path: Path, bundle: Path) -> None:
    data = tmp_path / "data"
    with harness.serving(data, bundle, host="0.0.0.0") as server:
        local = server.url.replace("0.0.0.0", "127.0.0.1")
        with httpx.Client(base_url=local) as stranger, open_workspace(workspace_settings(data, bundle)) as workspace:
            for path in OPEN_CALLS:
                assert stranger.get(path).status_code == 200
            assert code(stranger.post("/recognize", files=PHOTO)) == (401, "missing_key")
            phone = {"X-API-Key": workspace.keys.create("phone", ["recognize"])}
            for method, path in READING_CALLS:
                assert code(stranger.request(method, path)) == (401, "missing_key")
                assert stranger.request(method, path, headers=phone).status_code in {200, 404}
            assert stranger.post("/recognize", files=PHOTO, headers=phone).status_code == 200
            assert code(stranger.post("/index", headers=phone)) == (403, "scope_missing")
            boss = {"X-API-Key": workspace.keys.create("boss", ["admin"])}
            assert stranger.post("/recognize", files=PHOTO, headers=boss).status_code == 200
            assert code(stranger.post("/index", headers=boss)) == (415, "unsupported_body")
            workspace.keys.revoke("phone")  # another process; it holds from the next request on
            assert code(stranger.post("/recognize", files=PHOTO, headers=phone)) == (401, "wrong_key")


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
        with pytest.raises(UnknownKey, match="'key 0'"):
            keys.revoke("nobody")
    with sqlite3.connect(tmp_path / "data" / "whichone.db") as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(api_keys)")]
    database.close()
    assert "key" not in columns
