"""Imports over HTTP, in real processes: end to end, killed and gone on with, cancelled, by a worker alone, refused."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import harness
import httpx
import pytest

SHOP = {"gallery": "shop"}
QUICK: dict[str, Any] = {"verification": "off", "concurrency": 1, "job_lease": 1}
MANY = 90


def packed(photos: int, *, size: tuple[int, int] = (160, 120), **more: bytes) -> bytes:
    """An archive of so many photos, of three labels in turn."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for seed in range(photos):
            archive.writestr(f"label-{seed % 3}/{seed}.jpg", harness.jpeg(seed, size))
        for name, data in more.items():
            archive.writestr(f"label-0/{name}.jpg", data)
    return file.getvalue()


@pytest.fixture(scope="module")
def many() -> bytes:
    """Enough photos to be met in the middle."""
    return packed(MANY - 1, size=(640, 480), bad=b"no picture")


def send(server: harness.Server, archive: bytes, **fields: str) -> httpx.Response:
    return server.post("/index/import", params=SHOP, data=fields, files={"archive": ("photos.zip", archive)})


def begun(server: harness.Server, archive: bytes, **fields: str) -> str:
    answer = send(server, archive, **fields)
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["location"] == f"/jobs/{job['id']}?gallery=shop"
    assert server.get(answer.headers["location"]).status_code == 200
    return str(job["id"])


def job(server: harness.Server, id_: str) -> dict[str, Any]:
    answer = server.get(f"/jobs/{id_}", params=SHOP)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body["done"] == body["added"] + body["duplicates"] + body["failed"]
    return body


def ended(server: harness.Server, id_: str, state: str = "done") -> dict[str, Any]:
    harness.until(f"job {state}", lambda: job(server, id_)["state"] not in {"queued", "running"})
    body = job(server, id_)
    assert body["state"] == state, body
    return body


def in_the_middle(server: harness.Server, id_: str) -> None:
    harness.until("some photos are in", lambda: job(server, id_)["done"] >= 3)


def ids(server: harness.Server) -> set[str]:
    items = server.get("/index", params={**SHOP, "limit": "1000"}).json()["items"]
    return {item["id"] for item in items}


def taken_up(server: harness.Server) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("event") == "import taken up"]


@pytest.fixture(scope="module")
def importing(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[harness.Server]:
    """A server with an import root, and small limits."""
    root = tmp_path_factory.mktemp("root")
    (root / "shop" / "cup").mkdir(parents=True)
    (root / "shop" / "cup" / "1.jpg").write_bytes(harness.jpeg(1))
    (root / "list.csv").write_text("path,label\nshop/cup/1.jpg,mug\n")
    (root / "out").symlink_to(root.parent)
    with harness.serving(
        tmp_path_factory.mktemp("importing") / "data",
        bundle,
        import_root=root,
        max_request_bytes=100_000,
        max_import_bytes=300_000,
        **QUICK,
    ) as server:
        yield server


def test_from_start_to_end(importing: harness.Server) -> None:
    server = importing
    id_ = begun(server, packed(6, text=b"no picture", blank=harness.grey()))
    body = ended(server, id_)
    assert [body[name] for name in ("total", "added", "duplicates", "failed", "ignored")] == [8, 6, 0, 2, 0]
    assert body["source"] == {"kind": "archive", "name": "photos.zip"}
    assert [(one["name"], one["code"]) for one in body["failures"]] == [
        ("label-0/text.jpg", "not_an_image"),
        ("label-0/blank.jpg", "unusable_photo"),
    ]
    page = server.get(f"/jobs/{id_}/failures", params={**SHOP, "limit": "1"}).json()
    rest = server.get(f"/jobs/{id_}/failures", params={**SHOP, "after": page["next"]}).json()
    assert ([page["failures"][0], *rest["failures"]], rest["next"]) == (body["failures"], None)
    assert server.best("shop", harness.jpeg(4)) == "label-1"
    again = ended(server, begun(server, packed(6), distractors="false"))
    assert [again[name] for name in ("added", "duplicates", "failed")] == [0, 6, 0]
    listed = server.get("/jobs", params={**SHOP, "limit": "1"}).json()
    assert [one["id"] for one in listed["jobs"]] == [again["id"]]
    older = server.get("/jobs", params={**SHOP, "after": listed["next"], "limit": "1"}).json()
    assert [one["id"] for one in older["jobs"]] == [id_]
    assert server.get("/jobs", params={**SHOP, "limit": "1000"}).json()["next"] is None
    assert server.get("/jobs", params={**SHOP, "state": "failed"}).json()["jobs"] == []
    done = server.post(f"/jobs/{id_}/cancel", params=SHOP)
    assert (done.status_code, done.json()["code"]) == (409, "job_finished")
    for gallery, name in (("default", id_), ("shop", "0" * 32), ("shop", "x")):
        missing = server.get(f"/jobs/{name}", params={"gallery": gallery})
        assert (missing.status_code, missing.json()["code"]) == (404, "unknown_job")
    log = server.log.read_text()
    for word in ("label-0", "photos.zip", "text.jpg"):
        assert word not in log


@pytest.mark.slow
def test_kill_nine_of_the_one_that_works(tmp_path: Path, bundle: Path, database: str | None, many: bytes) -> None:
    """Two servers, one job: one of them works on it; when it is killed, the other goes on, and no photo comes twice."""
    servers = [harness.start(tmp_path / "data", bundle, database_url=database, **QUICK) for _ in range(2)]
    try:
        id_ = begun(servers[0], many, distractors="true")
        in_the_middle(servers[1], id_)
        assert [len(taken_up(server)) for server in servers] in ([1, 0], [0, 1])
        worker, other = servers if taken_up(servers[0]) else servers[::-1]
        before = ids(other)
        assert worker.stop(signal.SIGKILL) == -signal.SIGKILL
        at_least = job(other, id_)["done"]
        assert 3 <= at_least < MANY
        body = ended(other, id_)
        assert [body[name] for name in ("total", "added", "duplicates", "failed")] == [MANY, MANY - 1, 0, 1]
        assert before < ids(other)
        assert len(ids(other)) == MANY - 1
        report = other.get(f"/jobs/{id_}/failures", params=SHOP).json()
        assert [(one["name"], one["code"]) for one in report["failures"]] == [("label-0/bad.jpg", "not_an_image")]
        [went_on] = taken_up(other)
        assert went_on["position"] == at_least
    finally:
        for server in servers:
            server.stop()


@pytest.mark.slow
def test_a_worker_that_is_stopped_and_a_server_that_goes_on(tmp_path: Path, bundle: Path, many: bytes) -> None:
    data = tmp_path / "data"
    with harness.serving(data, bundle, run_jobs="false", **QUICK) as server:
        id_ = begun(server, many, distractors="true")
        worker = subprocess.Popen(
            [sys.executable, "-m", "cli", "worker"],
            env=harness.environment(data, bundle, **QUICK),
            cwd=harness.ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        in_the_middle(server, id_)
        worker.send_signal(signal.SIGTERM)
        told, log = worker.communicate(timeout=harness.DEADLINE)
        assert (worker.returncode, told) == (0, "whichone: working on imports\n"), log
        body = job(server, id_)
        assert (body["state"], body["reason"]) == ("queued", None)  # given back: nobody waits for its lease
        assert 3 <= body["done"] < MANY
    with harness.serving(data, bundle, **QUICK) as server:
        harness.until("it goes on", lambda: bool(taken_up(server)))
        assert taken_up(server)[0]["position"] == body["done"]
        assert server.post(f"/jobs/{id_}/cancel", params=SHOP).status_code == 200
        body = ended(server, id_, "cancelled")
        assert len(ids(server)) == body["added"] < MANY
        assert list((data / "jobs").glob("*/*")) == []
        assert server.post(f"/jobs/{id_}/cancel", params=SHOP).json()["state"] == "cancelled"
        done = [entry["action"] for entry in server.get("/audit", params=SHOP).json()["entries"]]
        assert "import_cancelled" in done


# ---------------------------------------------------------------- refused


def refused(answer: httpx.Response, status: int, code: str) -> str:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    return str(body["detail"])


def test_what_lies_beneath_the_root(importing: harness.Server) -> None:
    for body, label in (({"folder": "shop"}, "cup"), ({"csv": "list.csv", "distractors": False}, "mug")):
        answer = importing.post("/index/import", params=SHOP, json=body)
        assert answer.status_code == 202, answer.text
        assert ended(importing, answer.json()["id"])["added"] == 1
        assert importing.get("/index", params={**SHOP, "label": label}).json()["total"] == 1


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"folder": "../"}, "import_path_refused", "without .."),
        ({"folder": "/etc"}, "import_path_refused", "not a path beneath"),
        ({"folder": "out"}, "import_path_refused", "link out of the import root"),
        ({"folder": "none"}, "import_path_refused", "there is no 'none'"),
        ({"folder": "list.csv"}, "import_path_refused", "send it as `csv`"),
        ({"csv": "shop"}, "import_path_refused", "send it as `folder`"),
        ({"csv": 3}, "invalid_field", "must be a string"),
        ({"folder": "shop", "distractors": "yes"}, "invalid_field", "true or false"),
        ({"folder": "shop", "csv": "list.csv"}, "missing_field", "got both"),
        ({}, "missing_field", "got neither"),
        ({"path": "shop"}, "unknown_field", "`path`"),
    ],
)
def test_paths_and_bodies_that_are_refused(
    importing: harness.Server, body: dict[str, Any], code: str, words: str
) -> None:
    assert words in refused(importing.post("/index/import", params=SHOP, json=body), 422, code)


def test_uploads_that_are_refused(importing: harness.Server) -> None:
    assert "cannot be read as a zip" in refused(send(importing, b"no zip"), 422, "invalid_archive")
    assert "true or false" in refused(send(importing, packed(1), distractors="1"), 422, "invalid_field")
    wrong = importing.post("/index/import", params=SHOP, content=b"x", headers={"content-type": "application/zip"})
    assert "field `archive`" in refused(wrong, 415, "unsupported_body")
    name = importing.post("/index/import", params={"gallery": "No Good"}, files={"archive": ("a.zip", packed(1))})
    refused(name, 422, "invalid_gallery_name")
    two = importing.post("/index/import", params=SHOP, files={"archive": ("a.zip", b"x"), "photo": ("b", b"x")})
    assert "`photo`" in refused(two, 422, "unknown_field")
    assert list((importing.log.parent / "data" / "jobs" / "incoming").iterdir()) == []


def test_an_archive_has_a_limit_of_its_own(importing: harness.Server) -> None:
    large = bytes(200_000)
    assert "zip" in refused(send(importing, large), 422, "invalid_archive")  # read, and found to be none
    assert "300000 bytes" in refused(send(importing, large * 2), 413, "request_too_large")

    def chunks() -> Iterator[bytes]:  # a body that does not say how long it is
        yield b'--xyz\r\nContent-Disposition: form-data; name="archive"; filename="a.zip"\r\n\r\n'
        for _ in range(40):
            yield bytes(10_000)

    headers = {"content-type": "multipart/form-data; boundary=xyz"}
    slow = importing.post("/index/import", params=SHOP, content=chunks(), headers=headers)
    refused(slow, 413, "request_too_large")
    path = {"folder": "x" * 150_000}  # only archives may be large: JSON is held in memory
    assert "100000 bytes" in refused(importing.post("/index/import", params=SHOP, json=path), 413, "request_too_large")
