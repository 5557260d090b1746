"""The parts that HTTP alone does not show: photo store, locks, gate, words, logs, metrics, the last net."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import harness
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidLabel, PhotoLost
from service.gallery.words import label_of, metadata_of
from service.locks import ReadWriteLock, file_lock, try_file_lock
from service.photos import PhotoStore, sha256_of
from service.settings import Settings
from service.workspace import open_workspace


def test_photos_are_kept_under_their_hash_once(tmp_path: Path) -> None:
    store = PhotoStore(tmp_path / "photos")
    store.prepare()
    with store.adding():
        assert {store.put(b"abc"), store.put(b"abc")} == {sha256_of(b"abc")}
    assert list(store.stored()) == [sha256_of(b"abc")]
    assert store.read(sha256_of(b"abc")) == b"abc"
    assert list((tmp_path / "photos/incoming").iterdir()) == []
    store.path(sha256_of(b"abc")).write_bytes(b"a")
    with store.adding():
        store.put(b"abc")
    assert store.read(sha256_of(b"abc")) == b"abc"
    with pytest.raises(PhotoLost, match="not in the store"):
        store.read(sha256_of(b"other"))


def test_half_written_photos_of_a_crash_are_cleared_and_never_seen(tmp_path: Path) -> None:
    store = PhotoStore(tmp_path / "photos")
    store.prepare()
    (tmp_path / "photos/incoming/leftover").write_bytes(b"half")
    assert list(store.stored()) == []
    with store.adding():
        PhotoStore(tmp_path / "photos").prepare()  # somebody is writing: hands off
        assert (tmp_path / "photos/incoming/leftover").exists()
    store.prepare()
    assert not (tmp_path / "photos/incoming/leftover").exists()


def test_adding_and_discarding_one_photo_at_once_never_loses_a_referenced_one(tmp_path: Path) -> None:
    store = PhotoStore(tmp_path / "photos")
    store.prepare()
    sha = sha256_of(b"photo")
    references: set[str] = set()

    def add(_: int) -> None:
        with store.adding():
            store.put(b"photo")
            references.add(sha)
            assert store.path(sha).exists()

    def drop(_: int) -> None:
        def still(_shas: list[str]) -> set[str]:
            return set(references)

        references.discard(sha)
        store.discard([sha], still)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: (add, drop)[n % 2](n), range(200)))
    assert store.path(sha).exists() == (sha in references)


def test_file_locks_exclude_and_share(tmp_path: Path) -> None:
    lock = tmp_path / "deep" / "lock"
    with file_lock(lock, shared=True), file_lock(lock, shared=True), try_file_lock(lock) as mine:
        assert not mine
    with try_file_lock(lock) as mine, try_file_lock(lock) as other:
        assert (mine, other) == (True, False)


def test_readers_share_and_a_writer_is_alone() -> None:
    lock = ReadWriteLock()
    inside = {"readers": 0, "writers": 0}
    together: list[int] = []
    counting = threading.Lock()

    def count(who: str, by: int) -> None:
        with counting:
            inside[who] += by
            assert inside["writers"] <= 1
            assert not (inside["writers"] and inside["readers"])
            together.append(inside["readers"])

    def use(number: int) -> None:
        writing = number % 5 == 0
        with lock.writing() if writing else lock.reading():
            who = "writers" if writing else "readers"
            count(who, 1)
            time.sleep(0.001)
            count(who, -1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(200)))
    assert max(together) > 1


@given(st.text(max_size=220))
def test_a_label_that_is_kept_is_its_own_label(text: str) -> None:
    try:
        label = label_of(text)
    except InvalidLabel:
        return
    assert label_of(label) == label
    assert 1 <= len(label) <= 200
    label.encode()


@given(
    st.dictionaries(st.text(max_size=5), st.recursive(st.integers() | st.none(), st.lists, max_leaves=3), max_size=3)
)
def test_metadata_comes_back_as_it_was(value: dict[str, object]) -> None:
    assert metadata_of(json.dumps(value), 10_000) == value


def test_a_request_has_an_id_in_answer_and_log(server: harness.Server) -> None:
    given_id = "my-trace.1"
    assert server.get("/healthz", headers={"X-Request-ID": given_id}).headers["x-request-id"] == given_id
    answer = server.get("/labels", headers={"X-Request-ID": "spaces and\ttabs"})
    made = answer.headers["x-request-id"]
    assert len(made) == 32
    harness.until("the log line", lambda: made in server.log.read_text())
    [line] = [json.loads(line) for line in server.log.read_text().splitlines() if made in line]
    assert (line["event"], line["route"], line["status"]) == ("request", "/labels", 200)


def test_metrics_count_without_bounds_being_anyone_s_to_break(server: harness.Server, gallery: str) -> None:
    server.add(gallery, "beans", harness.jpeg(1))
    server.ask(gallery, harness.jpeg(1))
    for number in range(5):
        server.get(f"/no/such/path/{number}")
    server.client.request("BREW", "/index")
    text = server.get("/metrics").text
    assert 'whichone_requests_total{method="POST",route="/index",status="201"}' in text
    assert f'whichone_verdicts_total{{gallery="{gallery}"' in text
    assert f'whichone_gallery_items{{gallery="{gallery}",kind="item"}} 1.0' in text
    assert f'whichone_replica_lag_changes{{gallery="{gallery}"}} 0.0' in text
    assert 'whichone_stage_seconds_count{stage="embed"}' in text
    assert "/no/such" not in text
    assert "BREW" not in text


def test_a_defect_tells_an_id_and_nothing_else(tmp_path: Path, bundle: Path) -> None:
    data = tmp_path / "data"
    with harness.serving(data, bundle) as server:
        server.add("default", "beans", harness.jpeg(1))
        _note(data, "broken JSON")
        answer: httpx.Response = server.get("/index")
        body = answer.json()
        assert (answer.status_code, body["code"]) == (500, "internal_error")
        assert answer.headers["content-type"] == "application/problem+json"
        assert body["request_id"] in body["detail"]
        assert "JSON" not in answer.text
        harness.until("the log", lambda: "JSONDecodeError" in server.log.read_text())
        assert body["request_id"] in server.log.read_text()
        assert server.get("/healthz").status_code == 200
        _note(data, "{}")  # or whatever looks at the gallery in the background meets it, too
        assert server.get("/index").status_code == 200
        server.log.write_text("")  # this trouble was wanted


def _note(data: Path, metadata: str) -> None:
    """Write metadata of every item, past the server."""
    with sqlite3.connect(data / "whichone.db") as database:
        database.execute("UPDATE items SET metadata = ?", (metadata,))
    database.close()


def test_a_gallery_keeps_only_its_newest_calibrations(tmp_path: Path, bundle: Path) -> None:
    with open_workspace(Settings.load({}, data=tmp_path / "data", bundle=bundle)) as workspace:
        for gallery in ("often", "once"):
            for thing in range(3):
                workspace.enrol(f"thing-{thing}", [harness.jpeg(thing)], gallery=gallery)
        workspace.galleries.learning.calibrate("once")
        for far_budget in (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07):
            workspace.galleries.learning.calibrate("often", far_budget)
        stale = [entry.name for entry in workspace.galleries.learning.stale()]
        used = workspace.recognize(harness.jpeg(1), gallery="often").answer.verdict.far_budget
    with sqlite3.connect(tmp_path / "data" / "whichone.db") as database:
        rows = database.execute(
            "SELECT name, json_extract(body, '$.calibration.far_budget') FROM calibrations "
            "JOIN galleries ON galleries.id = gallery_id"
        ).fetchall()
    kept = {name: sorted(budget for of, budget in rows if of == name) for name in ("often", "once")}
    assert kept == {"often": [0.03, 0.04, 0.05, 0.06, 0.07], "once": [0.01]}
    assert (stale, used) == ([], 0.07)


@pytest.mark.parametrize("text", [".", "..", " .. "])
def test_a_label_that_no_url_can_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidLabel, match="alone"):
        label_of(text)
    assert label_of("...") == "..."
    assert label_of("a/../b") == "a/../b"
