"""What every answer carries, and that a body that is too large is refused before it is read."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import harness
import pytest

SAFE = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


@pytest.mark.parametrize(
    ("path", "status"), [("/healthz", 200), ("/labels", 200), ("/nothing", 404), ("/index?x=1", 422), ("/metrics", 200)]
)
def test_every_answer_is_safe_to_look_at(server: harness.Server, path: str, status: int) -> None:
    answer = server.get(path)
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in SAFE} == SAFE
    assert "strict-transport-security" not in answer.headers
    assert "server" not in answer.headers


def test_a_photo_keeps_its_own_headers(server: harness.Server, gallery: str) -> None:
    [item] = server.add(gallery, "a", harness.jpeg(1))
    answer = server.get(f"/index/{item['id']}/image", params={"gallery": gallery})
    assert answer.headers.get_list("cache-control") == ["private, max-age=86400"]
    assert answer.headers.get_list("content-security-policy") == ["default-src 'none'; sandbox"]
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("expect", ["", "Expect: 100-continue\r\n"])
@pytest.mark.parametrize(
    ("path", "kind", "limit"),
    [("/recognize", "multipart/form-data; boundary=x", 2_000_000), ("/labels/x", "application/json", 2**20)],
)
def test_a_body_that_says_it_is_too_large_is_not_read(
    server: harness.Server, path: str, kind: str, limit: int, expect: str
) -> None:
    """The answer comes although not one byte of the body was sent."""
    method = "PATCH" if path.startswith("/labels") else "POST"
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {harness.ADMIN}\r\nContent-Type: {kind}\r\n{expect}"
        f"Content-Length: {limit + 1}\r\n\r\n"
    )
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=harness.DEADLINE) as connection:
        connection.sendall(head.encode())
        answer = connection.makefile("rb")
        assert answer.readline().startswith(b"HTTP/1.1 413")
        length = 0
        while (line := answer.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        body = json.loads(answer.read(length))
    assert (body["code"], body["limit"]) == ("request_too_large", limit)


def test_the_connection_survives_a_body_that_was_too_large(server: harness.Server) -> None:
    files = {"image": ("p.jpg", bytes(2_500_000))}
    for _ in range(2):
        assert server.post("/recognize", files=files).status_code == 413
        assert server.get("/healthz").status_code == 200
