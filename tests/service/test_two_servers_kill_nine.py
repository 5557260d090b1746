"""Two servers on one database, changes through both, kill -9 of either: the other knows all that was acknowledged."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import harness
import httpx
import pytest
from harness import Server


class _Writer(threading.Thread):
    """Adds photos of its own through one server, and deletes every third, until the server is gone.

    Attributes:
        there, gone: ids whose 201 or 204 has come; `unsure` the one that was under way at the end, either way.
    """

    def __init__(self, server: Server, first_seed: int) -> None:
        super().__init__()
        self.server = server
        self.seed = first_seed
        self.there: dict[str, int] = {}
        self.gone: set[str] = set()
        self.unsure: set[str] = set()
        self.halt = threading.Event()

    def run(self) -> None:
        try:
            while not self.halt.is_set():
                self.seed += 1
                [item] = self.server.add("shop", f"label {self.seed % 7}", harness.jpeg(self.seed))
                self.there[item["id"]] = self.seed
                if self.seed % 3 == 0:
                    self._take_out(next(iter(self.there)))
        except httpx.TransportError:
            return

    def _take_out(self, id_: str) -> None:
        self.unsure.add(id_)
        del self.there[id_]
        answer = self.server.client.delete(f"/index/{id_}", params={"gallery": "shop"})
        assert answer.status_code == 204, answer.text
        self.gone.add(id_)
        self.unsure.discard(id_)


def _check(server: Server, writers: list[_Writer]) -> None:
    """The server's very next answers know what the writers had been told before."""
    told = [(dict(writer.there), set(writer.gone)) for writer in writers]
    listed = _listed(server)
    for writer, (there, gone) in zip(writers, told, strict=True):
        assert there, "nothing was added before the kill: the test shows nothing"
        assert not gone & listed
        assert set(there) - writer.gone - writer.unsure <= listed  # it may have deleted on meanwhile
        id_, seed = list(there.items())[-1]
        if id_ not in writer.gone | writer.unsure:
            found = [
                item["id"] for one in server.ask("shop", harness.jpeg(seed))["candidates"] for item in one["items"]
            ]
            assert id_ in found or id_ in writer.gone | writer.unsure


def _listed(server: Server) -> set[str]:
    listed: set[str] = set()
    after: dict[str, str] = {}
    while True:
        page = server.get("/index", params={"gallery": "shop", "limit": "500", **after}).json()
        listed |= {item["id"] for item in page["items"]}
        if page["next"] is None:
            return listed
        after = {"after": page["next"]}


@pytest.mark.slow
def test_each_knows_what_the_other_acknowledged(tmp_path: Path, bundle: Path, database: str | None) -> None:
    data = tmp_path / "data"
    servers = [harness.start(data, bundle, database_url=database) for _ in range(2)]
    everyone: list[_Writer] = []
    try:
        for round_ in range(2):
            writers = [_Writer(server, 1_000 * (2 * round_ + at)) for at, server in enumerate(servers)]
            everyone += writers
            for writer in writers:
                writer.start()
            killed = round_ % 2
            harness.until("both have added", lambda writers=writers: all(len(one.there) > 4 for one in writers))
            servers[killed].process.send_signal(signal.SIGKILL)
            writers[killed].join(harness.DEADLINE)
            _check(servers[1 - killed], everyone)  # while it is still being written to
            writers[1 - killed].halt.set()
            writers[1 - killed].join(harness.DEADLINE)
            servers[killed].client.close()
            servers[killed].process.wait(harness.DEADLINE)
            servers[killed] = harness.start(data, bundle, database_url=database)
            for server in servers:
                _check(server, everyone)
    finally:
        for server in servers:
            server.stop()
