"""Who may call what: every route of the program against every kind of caller, on an address that others can reach."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import harness
import httpx
import pytest

from service.app import create_app
from service.keys.info import SCOPES, Scope
from service.settings import Settings
from service.workspace import open_workspace

GALLERY = "mine"


@dataclass(frozen=True)
class Row:
    """A route's place in the matrix.

    Attributes:
        scope: the least that a key needs; None where nobody needs a key.
        about: where the gallery stands that the call is about; `several` for calls about all that a key may see.
        send: what makes the request whole enough to be let in.
    """

    scope: Scope | None
    about: Literal["query", "path", "several"] | None = "query"
    send: dict[str, Any] = field(default_factory=dict)


OPEN = Row(None, None)
READ, CHANGE = Row("recognize"), Row("index")
GOVERN = Row("admin", "path")
RELABEL = Row("index", send={"json": {"label": "y"}})

ROUTES: dict[tuple[str, str], Row] = {
    ("GET", "/healthz"): OPEN,
    ("GET", "/readyz"): OPEN,
    ("GET", "/metrics"): OPEN,
    ("GET", "/version"): OPEN,
    ("POST", "/recognize"): READ,
    ("POST", "/recognize/batch"): READ,
    ("GET", "/index"): READ,
    ("GET", "/index/{id}"): READ,
    ("GET", "/index/{id}/image"): READ,
    ("GET", "/labels"): READ,
    ("POST", "/index"): CHANGE,
    ("POST", "/index/distractors"): CHANGE,
    ("PATCH", "/index/{id}"): RELABEL,
    ("DELETE", "/index/{id}"): CHANGE,
    ("PATCH", "/labels/{label}"): RELABEL,
    ("DELETE", "/labels/{label}"): CHANGE,
    ("POST", "/index/import"): CHANGE,
    ("GET", "/feedback"): READ,
    ("POST", "/feedback"): CHANGE,
    ("DELETE", "/feedback/{id}"): CHANGE,
    ("GET", "/jobs"): READ,
    ("GET", "/jobs/{id}"): READ,
    ("GET", "/jobs/{id}/failures"): READ,
    ("POST", "/jobs/{id}/cancel"): CHANGE,
    ("GET", "/galleries"): Row("recognize", "several"),
    ("POST", "/galleries/{name}/calibrate"): GOVERN,
    ("POST", "/galleries/{name}/publish"): GOVERN,
    ("POST", "/galleries/{name}/rollback"): GOVERN,
    ("GET", "/galleries/{name}/pins"): Row("recognize", "path"),
    ("POST", "/galleries/{name}/pins"): GOVERN,
    ("DELETE", "/galleries/{name}/pins/{id}"): GOVERN,
    ("GET", "/audit"): Row("admin", "several"),
}
HIDDEN = {"/openapi.json", "/", "/console", "/console/{path}"}
"""Routes that the document does not tell of; open to all."""


@dataclass(frozen=True)
class Callers:
    """A client of a server on an open address, and keys of every kind, by scope."""

    client: httpx.Client
    here: dict[Scope, str]
    everywhere: dict[Scope, str]
    elsewhere: dict[Scope, str]
    expired: str
    revoked: str
    replaced: str


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[Callers]:
    data = tmp_path_factory.mktemp("matrix") / "data"
    with (
        harness.serving(data, bundle, host="0.0.0.0") as server,
        httpx.Client(base_url=server.url.replace("0.0.0.0", "127.0.0.1"), timeout=60) as client,
        open_workspace(Settings.load({}, data=data, bundle=bundle, threads=1)) as workspace,
    ):
        keys = workspace.keys
        past = datetime.now(UTC) - timedelta(seconds=1)
        revoked = keys.create("revoked", ["admin"])
        keys.revoke("revoked")
        replaced = keys.create("rotated", ["admin"])
        keys.rotate("rotated", grace=timedelta(0))
        yield Callers(
            client,
            {scope: keys.create(f"{scope} here", [scope], galleries=[GALLERY]) for scope in SCOPES},
            {scope: keys.create(f"{scope} everywhere", [scope]) for scope in SCOPES},
            {scope: keys.create(f"{scope} elsewhere", [scope], galleries=["other"]) for scope in SCOPES},
            keys.create("expired", ["admin"], expires_at=past),
            revoked,
            replaced,
        )


@pytest.fixture(scope="module")
def stranger(server: harness.Server) -> Iterator[httpx.Client]:
    """Somebody without a key, at a server on a loopback address."""
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


def called(client: httpx.Client, route: tuple[str, str], key: str | None) -> httpx.Response:
    method, path = route
    row = ROUTES[route]
    filled = path.format(id="x", label="x", name=GALLERY)
    params = {"gallery": GALLERY} if row.about == "query" else {}
    headers = {} if key is None else {"X-API-Key": key}
    return client.request(method, filled, params=params, headers=headers, **row.send)


def refused(answer: httpx.Response) -> tuple[int, str] | None:
    """Status and code of a caller that was not let in; None for one that was."""
    assert answer.status_code < 500, answer.text
    if answer.status_code not in {401, 403, 429}:
        return None
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def test_every_route_has_a_row() -> None:
    app = create_app(Settings.load({}))
    document = app.openapi()
    routes = {(method.upper(), path) for path, calls in document["paths"].items() for method in calls}
    assert routes == set(ROUTES), "give the route a row in ROUTES: which scope, and where its gallery stands"
    assert paths(app.routes) == {path for _, path in ROUTES} | HIDDEN  # also those that are not in the document


def paths(routes: Iterable[Any]) -> set[str]:
    """Of every route, mount and included router."""
    found: set[str] = set()
    for route in routes:
        inner = getattr(route, "original_router", route)
        found |= paths(inner.routes) if hasattr(inner, "routes") else {route.path.replace(":path", "")}
    return found


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_matrix(callers: Callers, route: tuple[str, str]) -> None:
    row = ROUTES[route]

    def met(key: str | None) -> tuple[int, str] | None:
        return refused(called(callers.client, route, key))

    if row.scope is None:
        assert met(None) is met("wrong") is None
        return
    assert met(None) == (401, "missing_key")
    assert met("") in {(401, "missing_key"), (401, "wrong_key")}
    assert met("wo_wrong") == (401, "wrong_key")
    assert met(callers.expired) == (401, "expired_key")
    assert met(callers.revoked) == (401, "wrong_key")
    assert met(callers.replaced) == (401, "expired_key")
    for scope in SCOPES:
        enough = SCOPES.index(scope) >= SCOPES.index(row.scope)
        elsewhere = None if row.about == "several" else (403, "gallery_forbidden")
        assert met(callers.everywhere[scope]) == (None if enough else (403, "scope_missing"))
        assert met(callers.here[scope]) == (None if enough else (403, "scope_missing"))
        assert met(callers.elsewhere[scope]) == (elsewhere if enough else (403, "scope_missing"))


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_on_loopback_reading_alone_is_open(stranger: httpx.Client, route: tuple[str, str]) -> None:
    open_to_all = ROUTES[route].scope in {None, "recognize"}
    assert refused(called(stranger, route, None)) == (None if open_to_all else (401, "missing_key"))


def test_the_last_of_several_galleries_counts_for_the_key_too(callers: Callers) -> None:
    headers = {"X-API-Key": callers.elsewhere["recognize"]}
    for query, expected in (
        ("?gallery=other&gallery=mine", (403, "gallery_forbidden")),
        ("?gallery=mine&gallery=other", None),
        ("", (403, "gallery_forbidden")),
    ):
        assert refused(callers.client.get(f"/labels{query}", headers=headers)) == expected


def test_a_key_sees_its_galleries_alone(callers: Callers) -> None:
    """In lists, and in the sentence about a gallery that is not there."""

    def call(method: str, path: str, key: str, **options: Any) -> httpx.Response:
        return callers.client.request(method, path, headers={"X-API-Key": key}, **options)

    for gallery in ("secret", "other"):
        files = {"images": ("p.jpg", harness.jpeg(1))}
        options = {"params": {"gallery": gallery}, "data": {"label": "x"}, "files": files}
        assert call("POST", "/index", callers.everywhere["index"], **options).status_code == 201
    seen = {
        scope: [entry["name"] for entry in call("GET", "/galleries", keys["recognize"]).json()["galleries"]]
        for scope, keys in (("elsewhere", callers.elsewhere), ("everywhere", callers.everywhere))
    }
    assert seen["elsewhere"] == ["other"]
    assert {"default", "other", "secret"} <= set(seen["everywhere"])
    answer = call("GET", "/labels", callers.here["recognize"], params={"gallery": GALLERY})
    assert answer.status_code == 404
    assert "secret" not in answer.text
    answer = call("GET", "/labels", callers.everywhere["recognize"], params={"gallery": GALLERY})
    assert answer.json()["existing"] == ["default", "other", "secret"]
    for keys, seen_there in ((callers.elsewhere, {"other"}), (callers.everywhere, {"other", "secret", None})):
        entries = call("GET", "/audit", keys["admin"]).json()["entries"]
        assert {entry["gallery"] for entry in entries} == seen_there
    assert call("GET", "/audit", callers.elsewhere["admin"], params={"gallery": "secret"}).json()["entries"] == []
