"""/readyz: what is needed, what is missing, and the end of a server told before it comes."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import harness

from service.settings import Settings
from service.workspace import open_workspace


def _checks(server: harness.Server) -> dict[str, bool]:
    return {check["name"]: check["ok"] for check in server.get("/readyz").json()["checks"]}


def test_a_ready_server_says_what_it_looked_at(server: harness.Server) -> None:
    answer = server.get("/readyz")
    assert answer.status_code == 200
    assert [check["name"] for check in answer.json()["checks"]] == ["serving", "model", "database", "galleries"]
    assert all(_checks(server).values())


def test_a_gallery_that_cannot_be_opened_is_named(tmp_path: Path, bundle: Path) -> None:
    data = tmp_path / "data"
    settings = Settings.load({}, data=data, bundle=bundle, threads=1)
    with harness.serving(data, bundle) as server, open_workspace(settings) as workspace:
        for seed in range(3):
            workspace.enrol(f"label {seed}", [harness.jpeg(seed)], gallery="shop")
        workspace.galleries.publish("shop")
        items = data / "galleries/shop/generations/1/items.npz"
        good = items.read_bytes()
        items.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        answer = server.get("/readyz")
        body = answer.json()
        assert (answer.status_code, body["code"]) == (503, "generation_corrupt")
        assert answer.headers["content-type"] == "application/problem+json"
        assert _checks(server) == {"serving": True, "model": True, "database": True, "galleries": False}
        assert "shop: " in body["detail"]
        assert "items.npz" in body["detail"]
        assert str(tmp_path) not in answer.text
        items.write_bytes(good)
        assert server.get("/readyz").status_code == 200
        assert server.best("shop", harness.jpeg(1)) == "label 1"


def test_sigterm_is_told_before_it_takes_effect(tmp_path: Path, bundle: Path) -> None:
    for workers in (1, 2):
        with harness.serving(tmp_path / str(workers), bundle, shutdown_notice=3, workers=workers) as server:
            server.add("shop", "beans", harness.jpeg(1))
            server.process.send_signal(signal.SIGTERM)
            harness.until("the notice", lambda server=server: server.get("/readyz").status_code == 503)
            body = server.get("/readyz").json()
            assert (body["code"], body["checks"][0]["ok"]) == ("shutting_down", False)
            assert server.best("shop", harness.jpeg(1)) == "beans"  # still served
            assert server.process.wait(harness.DEADLINE) in {0, -signal.SIGTERM, 128 + signal.SIGTERM}


def test_a_request_under_way_is_finished(tmp_path: Path, bundle: Path) -> None:
    with harness.serving(tmp_path / "data", bundle) as server:
        server.add("shop", "beans", harness.jpeg(1))
        sent, stopped = threading.Event(), threading.Event()
        boundary = "b"
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="q"\r\n\r\n'.encode()

        def body():  # type: ignore[no-untyped-def]
            yield head + harness.jpeg(1)
            sent.set()
            assert stopped.wait(harness.DEADLINE)
            yield f"\r\n--{boundary}--\r\n".encode()

        answers: list[int] = []

        def ask() -> None:
            kind = {"content-type": f"multipart/form-data; boundary={boundary}"}
            answer = server.post("/recognize", params={"gallery": "shop"}, content=body(), headers=kind)
            answers.append(answer.status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        assert sent.wait(harness.DEADLINE)
        inside = "whichone_photo_requests_inside 1.0"
        harness.until("the request", lambda: inside in server.get("/metrics").text)
        server.process.send_signal(signal.SIGTERM)
        stopped.set()
        asking.join()
        assert answers == [200]
        assert server.process.wait(harness.DEADLINE) in {0, -signal.SIGTERM, 128 + signal.SIGTERM}
