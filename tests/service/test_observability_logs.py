"""Logs: one object a line whoever writes it, one line a request, and nothing in them that is somebody's own."""

from __future__ import annotations

import base64
import json
import socket
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import harness

LABEL = "a-label-nobody-may-see"


def _lines(server: harness.Server) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.log.read_text().splitlines()]


def _of(server: harness.Server, request_id: str) -> list[dict[str, Any]]:
    return [line for line in _lines(server) if line.get("request_id") == request_id]


def _line_of(server: harness.Server, request_id: str) -> dict[str, Any]:
    harness.until("the line", lambda: bool(_of(server, request_id)))
    [line] = _of(server, request_id)
    return line


def test_every_line_is_an_object_and_every_request_has_one(tmp_path: Path, bundle: Path) -> None:
    with harness.serving(tmp_path / "data", bundle) as server:
        [item] = server.add("shop", LABEL, harness.jpeg(1))
        server.client.headers["x-request-id"] = "asked"
        verdict = server.ask("shop", harness.jpeg(1))["verdict"]
        line = _line_of(server, "asked")
        assert (line["event"], line["level"], line["method"]) == ("request", "info", "POST")
        assert (line["route"], line["path"], line["status"]) == ("/recognize", "/recognize", 200)
        assert (line["key"], line["verdict"]) == ("WHICHONE_ADMIN_KEY", verdict)  # the name of that key
        assert line["ms"] > 0
        assert line["timestamp"].endswith("Z")
        server.client.headers["x-request-id"] = "labelled"
        server.client.patch(f"/labels/{LABEL}", params={"gallery": "shop"}, json={"label": f"{LABEL}-2"})
        line = _line_of(server, "labelled")
        assert line["path"] == line["route"] == "/labels/{label:path}"
        server.client.headers["x-request-id"] = "item"
        server.client.get(f"/index/{item['id']}", params={"gallery": "shop"})
        assert _line_of(server, "item")["path"] == f"/index/{item['id']}"
        server.client.headers["x-request-id"] = "nowhere"
        server.client.get(f"/labels-{LABEL}")
        assert (_line_of(server, "nowhere")["status"], _line_of(server, "nowhere")["path"]) == (404, "unmatched")
        _send(server.url, b"\x16\x03\x01 no HTTP at all\r\n\r\n")
        harness.until("uvicorn's line", lambda: any("Invalid HTTP" in line["event"] for line in _lines(server)))
        _require_clean(server)


def test_a_traceback_has_nothing_of_a_photo_a_key_or_a_label(tmp_path: Path, bundle: Path) -> None:
    data = tmp_path / "data"
    with harness.serving(data, bundle) as server:
        server.add("shop", LABEL, harness.jpeg(1))
        with sqlite3.connect(data / "whichone.db") as database:  # something that nobody expects
            database.execute("ALTER TABLE items RENAME COLUMN label TO lable")
        database.close()
        server.client.headers["x-request-id"] = "broken"
        sent = server.post(
            "/index", params={"gallery": "shop"}, data={"label": LABEL}, files={"images": ("q.jpg", harness.jpeg(2))}
        )
        assert sent.status_code >= 500
        harness.until("the traceback", lambda: any("exception" in line for line in _of(server, "broken")))
        _require_clean(server)
        with sqlite3.connect(data / "whichone.db") as database:
            database.execute("ALTER TABLE items RENAME COLUMN lable TO label")
        database.close()
        server.stop()
        server.log.write_text("")  # this trouble was wanted


def _require_clean(server: harness.Server) -> None:
    log = server.log.read_text()
    photo = harness.jpeg(2)
    for secret in (LABEL, harness.ADMIN, "JFIF", "\\xff\\xd8", base64.b64encode(photo[200:260]).decode()):
        assert secret not in log, secret
    assert all(len(line) < 100_000 for line in log.splitlines())


def _send(url: str, data: bytes) -> None:
    where = urlsplit(url)
    with socket.create_connection((str(where.hostname), where.port or 0), timeout=harness.DEADLINE) as connection:
        connection.sendall(data)
        while connection.recv(4096):
            pass
