"""The console's files as the server gives them: what they are, what they refer to, and nothing beside them."""

from __future__ import annotations

import hashlib
import http.client
import re
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import harness
import pytest

from service.console.endpoints import PAGES

FILES = sorted(str(path.relative_to(PAGES)) for path in PAGES.rglob("*") if path.is_file())
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
    "": "text/plain; charset=utf-8",
}
REFERENCE = re.compile(r"""(?:from\s+|import\s+|import\(\s*|\bsrc=|\bhref=|url\(\s*)["']([^"'$]+)["']""")
FORBIDDEN = re.compile(
    r"[iI]nnerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|document\.cookie"
)
OTHER_HOST = re.compile(r"""(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}[^\s"'`)]*""")


def own(suffixes: set[str]) -> list[str]:
    """The files that are ours, not a library's."""
    return [name for name in FILES if Path(name).suffix in suffixes and not name.startswith("vendor/")]


def read(name: str) -> str:
    return (PAGES / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["", *FILES])
def test_every_file_is_served_as_what_it_is(server: harness.Server, name: str) -> None:
    answer = server.client.get(f"/console/{name}", headers={"X-API-Key": "no key is looked at here"})
    assert answer.status_code == 200
    assert answer.content == (PAGES / (name or "index.html")).read_bytes()
    assert answer.headers["content-type"] == TYPES[Path(name or "index.html").suffix]
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in answer.headers


def test_a_browser_that_has_a_file_is_told_so(server: harness.Server) -> None:
    etag = server.get("/console/console.js").headers["etag"]
    answer = server.get("/console/console.js", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-cache"


def test_head(server: harness.Server) -> None:
    for path in ("/console/", "/console/console.js"):
        answer = server.client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
        assert int(answer.headers["content-length"]) > 100


@pytest.mark.parametrize("path", ["/", "/console"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_browser_is_sent_there_also_under_a_prefix(server: harness.Server, path: str, method: str) -> None:
    answer = server.client.request(method, path)
    assert answer.status_code == 307
    assert not urlsplit(answer.headers["location"]).path.startswith("/")
    assert urljoin(f"https://shop.example/which{path}", answer.headers["location"]).endswith("/which/console/")


def test_what_files_refer_to_is_there() -> None:
    missing, seen = [], set()
    for name in own({".html", ".js", ".css"}):
        for reference in REFERENCE.findall(read(name)):
            if reference.startswith("#"):
                continue
            # src and href of markup made by scripts count from the page, all else from the file
            base = PAGES if reference == "icon.svg" else (PAGES / name).parent
            target = (base / reference).resolve()
            seen.add(target)
            if not (target.is_file() and target.is_relative_to(PAGES)):
                missing.append((name, reference))
    assert missing == []
    known = {*seen, PAGES / "index.html", PAGES / "vendor/NOTICE"}
    assert [name for name in FILES if PAGES / name not in known] == [], "no file refers to these"


def test_nothing_refers_to_another_host() -> None:
    """But for the namespace of SVG, and where licences stand."""
    found = [
        (name, address)
        for name in FILES
        if name != "vendor/NOTICE"
        for address in OTHER_HOST.findall(read(name))
        if not address.startswith("http://www.w3.org/")
    ]
    assert found == []


def test_no_data_becomes_markup() -> None:
    found = [(name, match[0]) for name in own({".js", ".html"}) for match in FORBIDDEN.finditer(read(name))]
    assert found == []
    page = read("index.html")
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", page), "the policy lets none of it work"


def test_the_library_is_the_one_that_was_looked_at() -> None:
    notice = read("vendor/NOTICE")
    assert hashlib.sha256((PAGES / "vendor/htm-preact.js").read_bytes()).hexdigest() in notice
    assert "Apache License" in notice
    assert "MIT" in notice


@pytest.mark.parametrize(
    "path",
    [
        "/console/..%2fendpoints.py",
        "/console/%2e%2e/endpoints.py",
        "/console/%2e%2e%2fendpoints.py",
        "/console/../endpoints.py",
        "/console/../../settings.py",
        "/console/vendor/..%2f..%2fendpoints.py",
        "/console/..%5cendpoints.py",
        "/console/..%252fendpoints.py",
        "/console//etc/passwd",
        "/console/%2fetc%2fpasswd",
        "/console/%00",
        "/console/console.js%00",
        "/console/vendor",
        "/console/vendor/",
        "/console/nothing.js",
        "/console/" + "a" * 5000,
    ],
)
def test_anything_else_is_a_problem(server: harness.Server, path: str) -> None:
    """Sent as it stands: a client library would tidy the path."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=harness.DEADLINE)
    connection.putrequest("GET", path, skip_accept_encoding=True)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == 404, body[:200]
    assert answer.headers["content-type"] == "application/problem+json"
    assert b'"unknown_path"' in body


def test_it_takes_nothing(server: harness.Server) -> None:
    answer = server.post("/console/")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


def test_metrics_do_not_tell_files_apart(server: harness.Server) -> None:
    for path in ("/console/console.js", "/console/nothing.js"):
        server.get(path)
    text = server.get("/metrics").text
    assert 'route="/console/{path:path}"' in text
    assert "console.js" not in text
    assert "nothing.js" not in text


def test_it_can_be_turned_off(tmp_path: Path, bundle: Path) -> None:
    with harness.serving(tmp_path / "data", bundle, console="false") as server:
        for path in ("/", "/console", "/console/", "/console/console.js"):
            answer = server.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json"), path
        assert server.get("/healthz").status_code == 200
