"""Several processes on one database, restarts, deletion, migrations: on SQLite, and on a real PostgreSQL."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import harness
import pytest
from postgres import cluster
from sqlalchemy import inspect, text

from service.database import Database
from service.errors import DatabaseTooNew
from service.models import Base
from service.settings import Settings
from service.workspace import open_workspace


def test_two_servers_agree(tmp_path: Path, bundle: Path, database: str | None) -> None:
    data = tmp_path / "data"
    with ThreadPoolExecutor() as pool:  # both at once, on nothing: who migrates?
        first, second = pool.map(lambda _: harness.start(data, bundle, database_url=database), range(2))
    try:
        for seed in range(6):
            here, there = (first, second) if seed % 2 else (second, first)
            here.add("shop", f"label {seed}", harness.jpeg(seed))
            assert there.best("shop", harness.jpeg(seed)) == f"label {seed}"  # the very next question
        [item] = second.add("shop", "wrong", harness.jpeg(9))
        first.client.patch(f"/index/{item['id']}", params={"gallery": "shop"}, json={"label": "right"})
        assert second.best("shop", harness.jpeg(9)) == "right"
        assert second.client.delete("/labels/right", params={"gallery": "shop"}).json()["removed"] == 1
        assert first.best("shop", harness.jpeg(9)) != "right"
        assert first.post("/galleries/shop/publish").json()["items"] == 6
        answers = [server.ask("shop", harness.jpeg(3)) for server in (first, second)]
        for answer in answers:
            del answer["id"], answer["timing_ms"]
        assert answers[0] == answers[1]
        assert answers[0]["generation"] == 1
        assert second.post("/galleries/shop/calibrate", json={"far_budget": 0.3}).status_code == 200
        assert first.ask("shop", harness.jpeg(3))["far_budget"] == 0.3
        assert second.post("/galleries/shop/calibrate", json={"unknown_share": 0.2}).status_code == 200
        receipt = first.ask("shop", harness.jpeg(3), explain="true")["receipt"]
        assert receipt["pipeline"]["unknown_share"] == 0.2
    finally:
        first.stop()
        second.stop()


def test_many_clients_write_to_two_servers_at_once(tmp_path: Path, bundle: Path, database: str | None) -> None:
    data = tmp_path / "data"
    with (
        harness.serving(data, bundle, database_url=database) as first,
        harness.serving(data, bundle, database_url=database) as second,
    ):

        def add(seed: int) -> None:
            server = first if seed % 2 else second
            server.add("shop", f"label {seed % 5}", harness.jpeg(seed), harness.jpeg(1000))  # all share one photo
            server.ask("shop", harness.jpeg(seed))

        with ThreadPoolExecutor(12) as pool:
            list(pool.map(add, range(48)))
        assert first.get("/index", params={"gallery": "shop"}).json()["total"] == 48 + 5
        for seed in range(48):
            for server in (first, second):
                candidates = server.ask("shop", harness.jpeg(seed))["candidates"]
                [own] = [candidate for candidate in candidates if candidate["label"] == f"label {seed % 5}"]
                assert own["items"][0]["similarity"] == pytest.approx(1, abs=1e-5)


def test_a_restart_keeps_everything(tmp_path: Path, bundle: Path, database: str | None) -> None:
    data = tmp_path / "data"
    with harness.serving(data, bundle, database_url=database) as server:
        server.add("shop", "beans", harness.jpeg(1), metadata='{"a": "\\u2615"}')
        server.post("/galleries/shop/publish")
        server.add("shop", "tea", harness.jpeg(2))
        before = server.get("/index", params={"gallery": "shop"}).json()
    with harness.serving(data, bundle, database_url=database) as server:
        assert server.get("/index", params={"gallery": "shop"}).json() == before
        assert server.best("shop", harness.jpeg(2)) == "tea"
        server.post("/galleries/shop/rollback", json={"generation": 1})
    with harness.serving(data, bundle, database_url=database) as server:  # the pin too
        assert server.best("shop", harness.jpeg(2)) == "beans"
        server.post("/galleries/shop/publish")
        assert server.best("shop", harness.jpeg(2)) == "tea"


def test_workers_share_one_address(tmp_path: Path, bundle: Path) -> None:
    with harness.serving(tmp_path / "data", bundle, workers=2) as server:
        for seed in range(8):
            server.add("shop", f"label {seed}", harness.jpeg(seed))
            server.client.close()  # a new connection may meet the other worker
            server.client = type(server.client)(base_url=server.url, headers={"X-API-Key": harness.ADMIN})
            assert server.best("shop", harness.jpeg(seed)) == f"label {seed}"


def test_ctrl_c_ends_it_cleanly(tmp_path: Path, bundle: Path) -> None:
    server = harness.start(tmp_path / "data", bundle)
    server.get("/healthz")
    assert server.stop(signal.SIGINT) in {0, 130, -signal.SIGINT}
    assert "Traceback" not in server.log.read_text()


def test_a_photo_goes_with_its_last_item(tmp_path: Path, bundle: Path) -> None:
    data = tmp_path / "data"
    with harness.serving(data, bundle) as server:
        [one] = server.add("shop", "beans", harness.jpeg(1))
        [two] = server.add("other", "tea", harness.jpeg(1))
        sha = one["sha256"]
        path = data / "photos" / sha[:2] / sha[2:4] / sha
        assert path.read_bytes() == harness.jpeg(1)
        server.client.delete(f"/index/{one['id']}", params={"gallery": "shop"})
        assert path.exists()
        server.client.delete(f"/index/{two['id']}", params={"gallery": "other"})
        assert not path.exists()
        server.add("other", "tea", harness.jpeg(1))
        path.write_bytes(b"rotten")
        [item] = server.get("/index", params={"gallery": "other"}).json()["items"]
        answer = server.get(f"/index/{item['id']}/image", params={"gallery": "other"})
        assert (answer.status_code, answer.json()["code"]) == (500, "photo_lost")
        harness.until("the log", lambda: "photo_lost" in server.log.read_text())
        server.log.write_text("")  # this trouble was wanted


def test_another_bundle_is_refused_and_told_why(tmp_path: Path, bundle: Path) -> None:
    data, other = tmp_path / "data", harness.tiny_bundle(tmp_path / "other", seed=1)
    with harness.serving(data, bundle):
        pass
    with harness.serving(data, other) as server:  # nothing enrolled yet: nothing to lose
        server.add("shop", "beans", harness.jpeg(1))
    said = harness.fail_to_start(data, bundle)
    assert "'shop' was embedded with bundle" in said
    assert "WHICHONE_BUNDLE" in said


def test_a_damaged_generation_stops_the_start_and_is_named(tmp_path: Path, bundle: Path) -> None:
    data = tmp_path / "data"
    with harness.serving(data, bundle) as server:
        server.add("shop", "beans", harness.jpeg(1))
        server.post("/galleries/shop/publish")
    items = data / "galleries/shop/generations/1/items.npz"
    items.write_bytes(items.read_bytes()[:-1] + b"x")
    assert "items.npz" in harness.fail_to_start(data, bundle)
    with open_workspace(Settings.load({}, data=data, bundle=bundle, threads=1)) as workspace:
        assert workspace.galleries.publish("shop").number == 2  # the database is the truth
    with harness.serving(data, bundle) as server:
        assert server.best("shop", harness.jpeg(1)) == "beans"


def test_the_command_works_beside_a_server(tmp_path: Path, bundle: Path) -> None:
    data = tmp_path / "data"
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(harness.jpeg(1))
    settings = Settings.load({}, data=data, bundle=bundle, threads=1)
    with harness.serving(data, bundle) as server, open_workspace(settings) as workspace:
        [added] = workspace.enrol("beans", [photo])
        assert server.best("default", harness.jpeg(1)) == "beans"
        server.add("default", "tea", harness.jpeg(2))
        recognition = workspace.recognize(harness.jpeg(2))
        assert recognition.answer.verdict.candidates[0].label == "tea"
        checked = workspace.verify()
        assert (checked.items, checked.lost_photos) == (2, [])
        workspace.gallery.delete("default", added.id)
        assert server.best("default", harness.jpeg(1)) == "tea"


def test_migrations_give_exactly_the_models(tmp_path: Path, database: str | None) -> None:
    opened = Database(Settings.load({}, data=tmp_path / "data", database_url=database))
    failures: list[BaseException] = []

    def migrate() -> None:
        try:
            opened.migrate()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=migrate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    found = inspect(opened.engine)
    assert set(found.get_table_names()) == {*Base.metadata.tables, "alembic_version"}
    for table in Base.metadata.tables.values():
        columns = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
        assert columns == {column.name: bool(column.nullable) for column in table.columns}
        indexes = {index["name"] for index in found.get_indexes(table.name) if not index.get("duplicates_constraint")}
        assert indexes == {index.name for index in table.indexes}
    with opened.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseTooNew, match="newer Whichone"):
        opened.migrate()
    opened.close()


def test_a_database_that_is_away_for_a_while(tmp_path: Path, bundle: Path) -> None:
    """PostgreSQL stops and comes back: 503 without a word about its address, then all is well again."""
    with (
        cluster() as (url, restart),
        harness.serving(tmp_path / "data", bundle, database_url=f"{url}/postgres") as server,
    ):
        server.add("shop", "beans", harness.jpeg(1))
        with restart():
            for answer in (server.get("/readyz"), server.get("/labels")):
                assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
                assert "127.0.0.1" not in answer.text
                assert answer.headers["retry-after"]
            assert server.get("/healthz").status_code == 200
            assert server.get("/metrics").status_code == 200
        harness.until("the database", lambda: server.get("/readyz").status_code == 200)
        assert server.best("shop", harness.jpeg(1)) == "beans"
        server.add("shop", "tea", harness.jpeg(2))
        server.log.write_text("")  # this trouble was wanted
