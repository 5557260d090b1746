"""The audit log: who changed what, written with the change or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import harness
import pytest
from sqlalchemy.exc import IntegrityError

from service.audit.actor import Actor, acting, current_actor
from service.audit.repository import AuditFilter
from service.audit.service import ACTIONS
from service.errors import DuplicateItem, UnknownLabel
from service.gallery.service import ItemChange
from service.photos import sha256_of
from service.settings import Settings
from service.workspace import Workspace, open_workspace


@contextmanager
def opened(data: Path, bundle: Path, database: str | None = None) -> Iterator[Workspace]:
    with open_workspace(
        Settings.load({}, data=data, bundle=bundle, threads=1, verification="off", database_url=database)
    ) as workspace:
        yield workspace


def told(workspace: Workspace, **wanted: Any) -> list[tuple[str, str | None, str | None]]:
    """Action, gallery and subject of each entry, oldest first."""
    page = workspace.audit.page(AuditFilter(**wanted))
    return [(entry.action, entry.gallery, entry.subject) for entry in reversed(page.entries)]


def read(server: harness.Server, **params: Any) -> list[dict[str, Any]]:
    answer = server.get("/audit", params=params)
    assert answer.status_code == 200, answer.text
    entries: list[dict[str, Any]] = answer.json()["entries"]
    return entries


def test_every_change_over_http_is_written_down(server: harness.Server, gallery: str) -> None:
    params = {"gallery": gallery}
    photos = [harness.jpeg(seed) for seed in (1, 2, 3)]
    [first, second] = server.add(gallery, "a", *photos[:2])
    server.add(gallery, "a", photos[0])  # was there already: nothing changed
    server.add(gallery, "b", photos[2], metadata='{"price": 3}')
    server.post("/index/distractors", params=params, files={"images": ("d.jpg", harness.jpeg(9))})
    server.client.patch(f"/index/{first['id']}", params=params, json={"label": "b", "metadata": {"price": 4}})
    server.client.delete(f"/index/{second['id']}", params=params)
    server.client.patch("/labels/b", params=params, json={"label": "c"})
    pin = server.post(f"/galleries/{gallery}/pins", data={"unknown": "true"}, files={"image": ("p.jpg", photos[0])})
    server.client.delete(f"/galleries/{gallery}/pins/{pin.json()['id']}")
    published = server.post(f"/galleries/{gallery}/publish")
    server.post(f"/galleries/{gallery}/rollback")
    server.post(f"/galleries/{gallery}/publish", json={"force": True})
    request = {"X-Request-Id": f"audit-{gallery}"}
    server.client.delete("/labels/c", params=params, headers=request)
    server.client.delete("/labels/c", params=params)  # is not there: nothing changed

    entries = read(server, gallery=gallery)[::-1]
    assert published.status_code == 200
    assert [(entry["action"], entry["subject"]) for entry in entries] == [
        ("items_added", "a"),
        ("items_added", "b"),
        ("distractors_added", None),
        ("item_changed", first["id"]),
        ("item_deleted", second["id"]),
        ("label_renamed", "b"),
        ("pin_added", pin.json()["id"]),
        ("pin_removed", pin.json()["id"]),
        ("published", "1"),
        ("published", "2"),
        ("label_deleted", "c"),
    ]
    assert {(entry["via"], entry["actor"], entry["gallery"]) for entry in entries} == {
        ("key", "WHICHONE_ADMIN_KEY", gallery)
    }
    assert entries[0]["detail"] == {"items": 2, "duplicates": 0, "sha256": [sha256_of(photo) for photo in photos[:2]]}
    assert entries[3]["detail"]["fields"] == ["label", "metadata"]
    assert "price" not in str(entries)
    assert entries[5]["detail"] == {"to": "c", "items": 2, "dropped": 0, "merged": False}
    assert entries[-1]["detail"] == {"items": 2}
    assert entries[-1]["request_id"] == f"audit-{gallery}"
    assert len({entry["request_id"] for entry in entries}) == len(entries)


def test_the_log_is_read_in_pages_and_parts(server: harness.Server, gallery: str) -> None:
    for seed in range(5):
        server.add(gallery, f"l{seed}", harness.jpeg(seed))
    server.client.delete("/labels/l0", params={"gallery": gallery})
    whole = read(server, gallery=gallery)
    pages, after = [], None
    while True:
        params = {"gallery": gallery, "limit": "2"} | ({} if after is None else {"after": after})
        page = server.get("/audit", params=params).json()
        pages += page["entries"]
        after = page["next"]
        if after is None:
            break
    assert pages == whole
    assert [entry["subject"] for entry in whole] == ["l0", "l4", "l3", "l2", "l1", "l0"]
    assert len(read(server, gallery=gallery, action="label_deleted")) == 1
    assert read(server, gallery=gallery, actor="WHICHONE_ADMIN_KEY") == whole
    assert read(server, gallery=gallery, actor="command") == []
    assert read(server, gallery=gallery, since=whole[2]["at"]) == whole[:3]
    assert read(server, gallery=gallery, since="2999-01-01T00:00:00Z") == []
    for wrong in ({"action": "burned"}, {"since": "yesterday"}, {"since": "0001-01-01T00:00:00+14:00"}, {"after": "x"}):
        assert server.get("/audit", params=wrong).status_code == 422
    assert server.get("/audit", params={"actor": "a\0b"}).status_code == 422


def test_a_change_and_its_entry_are_one_transaction(tmp_path: Path, bundle: Path) -> None:
    data = tmp_path / "data"
    with opened(data, bundle) as workspace:
        [kept] = workspace.enrol("a", [harness.jpeg(1)])
        workspace.enrol("b", [harness.jpeg(1)])
        before = told(workspace)
        for label, error in (("b", DuplicateItem), ("", Exception)):
            with pytest.raises(error):
                workspace.gallery.change("default", kept.id, ItemChange(frozenset({"label"}), label))
        with pytest.raises(UnknownLabel):
            workspace.gallery.delete_label("default", "nothing")
        assert told(workspace) == before  # what did not happen is not told
        with sqlite3.connect(data / "whichone.db") as file:
            file.execute("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no'); END")
        file.close()
        for change in (
            lambda: workspace.gallery.delete("default", kept.id),
            lambda: workspace.gallery.rename_label("default", "a", "c"),
            lambda: workspace.gallery.delete_label("default", "a"),
            lambda: workspace.enrol("d", [harness.jpeg(2)]),
            lambda: workspace.pins.add("default", harness.jpeg(3), None),
            lambda: workspace.keys.create("x"),
        ):
            with pytest.raises(IntegrityError):
                change()
        # What cannot be told does not happen.
        assert workspace.gallery.labels("default") == [("a", 1), ("b", 1)]
        assert workspace.pins.all("default") == []
        assert workspace.keys.list() == []
        assert told(workspace) == before


def test_the_page_about_access_names_every_action() -> None:
    page = (harness.ROOT / "docs" / "access.md").read_text()
    assert [action for action in ACTIONS if f"`{action}`" not in page] == []


def test_keys_calibrations_and_generations(tmp_path: Path, bundle: Path, database: str | None) -> None:
    with opened(tmp_path / "data", bundle, database) as workspace:
        key = workspace.keys.create("phone", ["index"], galleries=["shop"])
        workspace.keys.rotate("phone", grace=timedelta(hours=1))
        workspace.keys.revoke("phone")
        workspace.keys.revoke("phone")
        workspace.keys.ensure_admin("an environment key")
        for seed in range(4):
            workspace.enrol(f"l{seed}", [harness.jpeg(seed), harness.again(seed)], gallery="shop")
        with acting(Actor("key", "boss", "r-1")):
            workspace.galleries.learning.calibrate("shop", 0.02)
            workspace.galleries.publish("shop")
        workspace.enrol("l9", [harness.jpeg(9)], gallery="shop")
        [stale] = workspace.galleries.learning.stale()
        assert workspace.galleries.learning.calibrate_in_background(stale)  # follows from the change: not told
        workspace.galleries.publish("shop")
        workspace.galleries.rollback("shop", 1)
        assert current_actor() == Actor("command")
        assert told(workspace, actor="server") == [("key_created", None, "WHICHONE_ADMIN_KEY")]
        assert told(workspace, actor="boss") == [("calibrated", "shop", None), ("published", "shop", "1")]
        assert [action for action, _, _ in told(workspace, actor="command")] == [
            *("key_created", "key_rotated", "key_revoked"),
            *(5 * ["items_added"]),
            *("published", "rolled_back"),
        ]
        assert told(workspace, galleries=frozenset({"other"})) == []
        assert len(told(workspace, galleries=frozenset({"shop"}))) == 9
        [created] = workspace.audit.page(AuditFilter(action="key_created", actor="command")).entries
        assert created.detail["galleries"] == ["shop"]
        everything = str([entry.detail for entry in workspace.audit.page(AuditFilter(), limit=1000).entries])
        assert key not in everything
        assert key.removeprefix("wo_") not in everything
