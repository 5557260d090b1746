"""Upgrade and rollback, as docs/operations.md promises them: two versions of the program on one database, the older one
running on while the newer one migrates it, both beside each other, and back again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import harness
import pytest
from harness import Server
from other_version import Version, next_release, release_before, this_one
from sqlalchemy import text

from service.database import Database, fits
from service.settings import Settings

pytestmark = pytest.mark.slow

THINGS, STRANGER = range(6), 1000
BEFORE, NEXT = "the release before, and this one", "this one, and the next"


@dataclass(frozen=True)
class World:
    """A data folder and a database, which versions of the program come to."""

    data: Path
    bundle: Path
    database: str | None

    @contextmanager
    def served_by(self, version: Version) -> Iterator[Server]:
        """A server of that version; nothing may have gone wrong in it."""
        server = version.start(self.data, self.bundle, self.database)
        try:
            yield server
        finally:
            server.stop()
        log = server.log.read_text()
        assert '"level": "error"' not in log, log[-4000:]
        assert "Traceback" not in log, log[-4000:]

    def run(self, version: Version, *command: str) -> tuple[int, str, str]:
        done = version.run(*command, data=self.data, bundle=self.bundle, database=self.database)
        return done.returncode, done.stdout, done.stderr

    def revision(self) -> str:
        """The database's."""
        opened = Database(Settings.load({}, data=self.data, database_url=self.database))
        with opened.engine.connect() as connection:
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        opened.close()
        return str(found)


@pytest.fixture
def world(tmp_path: Path, bundle: Path, database: str | None) -> World:
    return World(tmp_path / "data", bundle, database)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Version:
    return release_before(tmp_path_factory.mktemp("versions") / "before")


@pytest.fixture
def versions(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Version, Version]:
    """An older version and a newer one."""
    if request.param == BEFORE:
        return request.getfixturevalue("before"), this_one()
    return this_one(), next_release(tmp_path / "next")


def answers(server: Server) -> list[dict[str, Any]]:
    """All that a server reads, to the digit."""
    verdicts = [server.ask("shop", harness.again(thing)) for thing in (*THINGS, STRANGER)]
    for verdict in verdicts:
        del verdict["id"], verdict["timing_ms"]
    lists = [server.get(path, params={"gallery": "shop"}).json() for path in ("/index", "/labels")]
    return [*verdicts, *lists]


def essence(server: Server) -> dict[str, Any]:
    """What versions agree on, however they count: the items, their photos, and what is known."""
    items = server.get("/index", params={"gallery": "shop", "limit": 100}).json()["items"]
    told: dict[str, Any] = {item["id"]: item["label"] for item in items}
    for thing in (*THINGS, STRANGER):
        answer = server.ask("shop", harness.jpeg(thing))
        told[f"verdict on {thing}"] = answer["verdict"], answer["label"]
    image = server.get(f"/index/{items[0]['id']}/image", params={"gallery": "shop"})
    return told | {"photo": (image.status_code, image.content)}


@contextmanager
def asked_all_along(server: Server) -> Iterator[None]:
    """Questions go to a server throughout the block, and each is answered."""
    failures: list[BaseException] = []
    done, asked = threading.Event(), threading.Event()

    def ask() -> None:
        try:
            while not done.is_set() or not asked.is_set():
                assert server.best("shop", harness.jpeg(1)) == "thing 1"
                asked.set()
        except BaseException as error:
            failures.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        done.set()
        asking.join()
    assert failures == []


def fill(server: Server) -> None:
    """Things that are known from then on."""
    for thing in THINGS:
        server.add("shop", f"thing {thing}", harness.jpeg(thing), harness.jpeg(thing, (320, 240)))
    assert server.post("/galleries/shop/publish").status_code == 200
    told = essence(server)
    assert [told[f"verdict on {thing}"] for thing in THINGS] == [("known", f"thing {thing}") for thing in THINGS]
    assert told[f"verdict on {STRANGER}"] == ("unknown", None)


def check_that_it_writes(server: Server, other: Server, seed: int) -> None:
    """Add, change, delete and publish through one server; the other knows with its very next answer."""
    query = {"gallery": "shop"}
    [item] = server.add("shop", f"new {seed}", harness.jpeg(seed))
    assert other.best("shop", harness.jpeg(seed)) == f"new {seed}"
    assert server.client.patch(f"/index/{item['id']}", params=query, json={"label": "renamed"}).status_code == 200
    assert other.best("shop", harness.jpeg(seed)) == "renamed"
    assert server.client.delete(f"/index/{item['id']}", params=query).status_code == 204
    assert other.best("shop", harness.jpeg(seed)) != "renamed"
    server.add("shop", f"new {seed}", harness.jpeg(seed))
    assert server.post("/galleries/shop/calibrate").status_code == 200
    number = server.post("/galleries/shop/publish").json()["generation"]
    for one in (server, other):
        answer = one.ask("shop", harness.jpeg(seed))
        assert (answer["verdict"], answer["label"], answer["generation"]) == ("known", f"new {seed}", number)


def check_whose_modules(world: World, version: Version) -> None:
    """Processes of a version have the modules of its tree: else nothing would be shown here."""
    status, told, trouble = world.run(version, "-c", "import service.database; print(service.database.__file__)")
    assert (status, told.strip()) == (0, str(version.tree / "service/database.py")), trouble


def check_the_refusal(world: World, older: Version, *command: str) -> str:
    """The older version does not begin, and says why in a line, which is returned."""
    status, _, told = world.run(older, *command)
    assert (status, told.count("\n")) == (2, 1), told
    assert "newer Whichone" in told
    return told


@pytest.mark.parametrize(
    ("versions", "database"), [(BEFORE, "sqlite"), (BEFORE, "postgresql"), (NEXT, "sqlite")], indirect=True
)
def test_upgrade_and_rollback(versions: tuple[Version, Version], world: World) -> None:
    older, newer = versions
    for version in versions:
        check_whose_modules(world, version)
    may_go_back = fits(newer.head, older.revisions)
    assert may_go_back or not older.released, "a release has to fit the one before: see docs/operations.md"
    with world.served_by(older) as old:
        assert world.revision() == older.head
        fill(old)
        at_first = answers(old)
        with asked_all_along(old):
            status, told, trouble = world.run(newer, "-m", "cli", "migrate")
        assert (status, "up to date" in told, trouble) == (0, True, "")
        assert world.revision() == newer.head
        assert answers(old) == at_first
        with world.served_by(newer) as new:
            assert essence(new) == essence(old)
            check_that_it_writes(old, new, 100)
            check_that_it_writes(new, old, 101)
            at_last = essence(new)
            assert essence(old) == at_last
        assert essence(old) == at_last
    if may_go_back:
        with world.served_by(older) as old:
            assert world.revision() == newer.head
            assert essence(old) == at_last
            check_that_it_writes(old, old, 102)
            at_last = essence(old)
    else:
        check_the_refusal(world, older, "-m", "service")
    with world.served_by(newer) as new:
        assert essence(new) == at_last


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_version_that_cannot_work_on_the_database_says_what_to_do(tmp_path: Path, world: World) -> None:
    older, newer = this_one(), next_release(tmp_path / "next", fitting=False)
    assert world.run(newer, "-m", "cli", "migrate")[0] == 0
    for command in (("service",), ("cli", "migrate"), ("cli", "keys", "list")):
        told = check_the_refusal(world, older, "-m", *command)
        assert "install that version" in told
        assert "backup" in told
    assert world.revision() == newer.head


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_migrate_leaves_alone_what_is_ahead(tmp_path: Path, world: World) -> None:
    older, newer = this_one(), next_release(tmp_path / "next")
    assert world.run(newer, "-m", "cli", "migrate")[0] == 0
    status, told, _ = world.run(older, "-m", "cli", "migrate")
    assert (status, "brought the database further" in told) == (0, True)
    assert world.revision() == newer.head
