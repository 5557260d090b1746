"""What runs inside the containers besides the server: the health check, and the secrets of a first start."""

from __future__ import annotations

import http.server
import importlib.util
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import make_url

IMAGE = Path(__file__).parents[1] / "docker/image"


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, IMAGE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


secrets = loaded("make_secrets")


@contextmanager
def answering(status: int) -> Iterator[int]:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/readyz"
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"a sentence")

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def health(port: int) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "WHICHONE_PORT": str(port), "http_proxy": "http://127.0.0.1:9"}
    command = [sys.executable, IMAGE / "healthcheck.py"]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("status", "ended"), [(200, 0), (503, 1)])
def test_health_is_what_the_server_says(status: int, ended: int) -> None:
    with answering(status) as port:
        done = health(port)
    assert (done.returncode, done.stdout.strip()) == (ended, "a sentence")


def test_no_server_is_no_health() -> None:
    done = health(1)
    assert done.returncode == 1
    assert "no answer on port 1" in done.stdout


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def test_the_first_start_makes_all_and_the_next_nothing(tmp_path: Path) -> None:
    assert len(secrets.make_secrets(tmp_path, {})) == 5
    assert modes(tmp_path) == {
        "admin-key": 0o400,
        "database-url": 0o400,
        "postgres-password": 0o444,
        "grafana-password": 0o444,
        "minio-password": 0o444,
    }
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(set(before.values())) == 5
    assert secrets.make_secrets(tmp_path, {}) == []
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("password", ["plain", "p@ss/w:rd?#% &"])
def test_the_database_is_addressed_with_its_password(tmp_path: Path, password: str) -> None:
    secrets.make_secrets(tmp_path, {"POSTGRES_PASSWORD": password})
    assert (tmp_path / "postgres-password").read_text() == password + "\n"
    url = make_url((tmp_path / "database-url").read_text().strip())
    assert (url.username, url.password, url.host, url.database) == ("whichone", password, "postgres", "whichone")


def test_an_admin_key_of_the_environment_replaces_the_one_before(tmp_path: Path) -> None:
    secrets.make_secrets(tmp_path, {})
    assert secrets.make_secrets(tmp_path, {"WHICHONE_ADMIN_KEY": "a key of mine"}) == ["admin-key"]
    assert (tmp_path / "admin-key").read_text() == "a key of mine\n"
    assert secrets.make_secrets(tmp_path, {}) == []


def test_a_password_is_not_changed_behind_the_databases_back(tmp_path: Path) -> None:
    secrets.make_secrets(tmp_path, {"POSTGRES_PASSWORD": "the first"})
    with pytest.raises(secrets.Unusable, match="differs from the password"):
        secrets.make_secrets(tmp_path, {"POSTGRES_PASSWORD": "the second"})
    assert secrets.make_secrets(tmp_path, {"POSTGRES_PASSWORD": "the first"}) == []


def test_files_that_are_given_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "database-url").write_text("postgresql://me:mine@elsewhere/db")
    secrets.make_secrets(tmp_path, {})
    assert (tmp_path / "database-url").read_text() == "postgresql://me:mine@elsewhere/db"


def test_a_draft_left_by_a_start_cut_short_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "admin-key.new").write_text("half")
    secrets.make_secrets(tmp_path, {})
    assert not (tmp_path / "admin-key.new").exists()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(secrets.Unusable, match=r"missing/admin-key cannot be written"):
        secrets.make_secrets(tmp_path / "missing", {})


def test_what_is_printed_holds_no_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setattr(secrets, "FOLDER", tmp_path)
    assert secrets.main() == 0
    told = capsys.readouterr().out
    assert "docker compose exec api cat /secrets/admin-key" in told
    assert not any(path.read_text().strip() in told for path in tmp_path.iterdir())
