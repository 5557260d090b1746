"""A real PostgreSQL for tests, where its server's binaries are on the machine."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import harness
import pytest
from sqlalchemy import text

from service.database import Database
from service.settings import Settings


def _postgres_binaries() -> Path | None:
    found = shutil.which("initdb")
    candidates = [Path(found).resolve().parent] if found else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((path for path in candidates if (path / "initdb").exists() and (path / "postgres").exists()), None)


def _account() -> str | None:
    """PostgreSQL refuses to run as root: the account to run it as instead."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


Restart = Callable[[], AbstractContextManager[None]]


@contextmanager
def cluster() -> Iterator[tuple[str, Restart]]:
    """A PostgreSQL cluster of one's own: its URL, and a context in which it is down."""
    binaries = _postgres_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server binaries (initdb, postgres) on this machine")
    account = _account()
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        root = Path(folder)
        if account is not None:
            shutil.chown(root, account)
        initdb = [binaries / "initdb", "-D", root / "cluster", "-U", "whichone", "-A", "trust", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, user=account, cwd=root)
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
        probe.close()
        command = [binaries / "postgres", "-D", root / "cluster", "-p", port, "-h", "127.0.0.1", "-k", root]
        ready = [binaries / "pg_isready", "-h", "127.0.0.1", "-p", port]

        @contextmanager
        def running() -> Iterator[None]:
            with (root / "log").open("a") as log:
                process = subprocess.Popen(command, stdout=log, stderr=log, user=account, cwd=root)
            try:
                harness.until(
                    "PostgreSQL", lambda: subprocess.run(ready, capture_output=True, check=False).returncode == 0
                )
                yield
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(harness.DEADLINE)

        with ExitStack() as life:
            life.enter_context(running())

            @contextmanager
            def down() -> Iterator[None]:
                life.close()
                yield
                life.enter_context(running())

            yield f"postgresql://whichone@127.0.0.1:{port}", down


def fresh_database(url: str) -> str:
    """URL of a new, empty database of the cluster at `url`."""
    name = "t" + os.urandom(6).hex()
    server = Database(Settings.load({}, database_url=f"{url}/postgres"))
    with server.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    server.close()
    return f"{url}/{name}"
