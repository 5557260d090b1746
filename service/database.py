"""Connections and transactions, for SQLite in the data folder and for PostgreSQL.

`read()` gives one consistent snapshot; `write()` is durable once it returns. On SQLite, a write takes the write lock as
it begins (BEGIN IMMEDIATE), never in its middle, where SQLite could only fail; inside a process writers queue on a lock
of their own, which is fair, and between processes on SQLite's busy timeout.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from embedding.errors import WhichoneError
from index.errors import DiskFull
from service.errors import DatabaseTooNew, DatabaseUnavailable
from service.locks import file_lock
from service.settings import Settings

__all__ = ["Database", "fits"]

SQLITE_BUSY_MS = 30_000
MIGRATION_LOCK = 0x77686963686F6E65  # "whichone": the advisory lock's number on PostgreSQL
_BEGIN = "sqlite_begin"
_FITS = re.compile(r"\d{4}_fits_(\d{4})")
_POOL: dict[str, Any] = {"pool_size": 10, "max_overflow": 90, "hide_parameters": True}
"""More connections than the server has threads: none ever waits for another's. And no label, key or photo in an error's
message, which a log may tell."""


def fits(revision: str, known: Collection[str]) -> bool:
    """Whether a program that knows these revisions can work on a database of that one.

    One that it does not know says so in its name: a program that knows 0005 can work on 0007_fits_0005. The name is all
    that a newer program leaves in the database for an older one to read.
    """
    told = _FITS.fullmatch(revision)
    return revision in known or (told is not None and any(one[:4] == told[1] for one in known))


class Database:
    """The database of one data folder. Thread-safe; create one a process, after any fork.

    Attributes:
        ahead: whether `migrate` found it brought further by a newer Whichone, and left it so.
    """

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.data
        if settings.database_url is None:
            self.engine = _sqlite_engine(settings.data / "whichone.db")
        else:
            self.engine = _postgres_engine(settings.database_url.get_secret_value())
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self._readers: Engine
        self._glancers: Engine
        self._writers: Engine
        if self.is_sqlite:
            self._readers = self.engine.execution_options(**{_BEGIN: "BEGIN"})
            self._writers = self.engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
            self._glancers = self._readers
        else:
            self._readers = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            self._glancers = self.engine.execution_options(isolation_level="AUTOCOMMIT")
            self._writers = self.engine
        self._writing = threading.Lock()
        self.ahead = False

    def migrate(self) -> None:
        """Bring the schema up to date, unless it is ahead; several processes may do so at once.

        Raises:
            DatabaseTooNew: a newer Whichone has been here, and this one does not fit what it made.
            DatabaseUnavailable: no connection.
        """
        if self.is_sqlite:
            self._enter_wal()
        with _translated(tell=True), self._writers.begin() as connection:
            if not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            config = Config()
            config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
            config.attributes["connection"] = connection
            known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
            found = MigrationContext.configure(connection).get_current_revision()
            self.ahead = found is not None and found not in known
            if found is not None and not fits(found, known):
                raise DatabaseTooNew(
                    "the database was last used by a newer Whichone than this one, which cannot work on it; install "
                    "that version, restore the backup from before it, or name another WHICHONE_DATA or "
                    "WHICHONE_DATABASE_URL"
                )
            if not self.ahead:
                command.upgrade(config, "head")

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one moment of the database throughout.

        Raises:
            DatabaseUnavailable: no connection.
        """
        with _translated(), Session(self._readers, expire_on_commit=False) as session, _clean(session):
            yield session

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        """A connection for a single SELECT, as every request makes one or two: without a session, which takes longer
        than the SELECT, and on PostgreSQL without a transaction, whose beginning and end would do so too.

        Raises:
            DatabaseUnavailable: no connection.
        """
        with _translated(), self._glancers.connect() as connection, _clean(connection):
            yield connection

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that is committed, durably, when the block ends, or rolled back when it raises.

        Raises:
            DatabaseUnavailable: no connection, or the lock of another process did not end.
            DiskFull: there is no room for what was to be written.
        """
        turn = self._writing if self.is_sqlite else nullcontext()
        with (
            turn,
            _translated(),
            Session(self._writers, expire_on_commit=False) as session,
            _clean(session),
            session.begin(),
        ):
            yield session

    def ping(self) -> None:
        """Ask the database anything.

        Raises:
            DatabaseUnavailable: it does not answer.
        """
        with self.read() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    def _enter_wal(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        # SQLite does not wait for others while it changes the journal mode, hence a lock around it.
        with file_lock(self._folder / "migrate.lock"):
            connection = sqlite3.connect(self._folder / "whichone.db", timeout=SQLITE_BUSY_MS / 1000)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            finally:
                connection.close()


@contextmanager
def _clean(session: Session | Connection) -> Iterator[None]:
    """Close the connection after an unexpected error, instead of pooling it.

    The error may have left a half-read result behind. SQLite would keep its snapshot over the rollback, and refuse the
    connection's next BEGIN IMMEDIATE without waiting.
    """
    try:
        yield
    except WhichoneError:
        raise
    except BaseException:
        session.invalidate()
        raise


_POSTGRES_DISK_FULL = "53100"


@contextmanager
def _translated(*, tell: bool = False) -> Iterator[None]:
    """Make a driver's errors the domain's; `tell` the reason where an operator reads it, and not a stranger."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        if _is_full(getattr(error, "orig", None)):
            raise DiskFull(
                "the database could not be written: its disk is full; nothing was changed, make room"
            ) from error
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        message = f"the database does not answer: {reason}" if tell else "the database does not answer; try again soon"
        raise DatabaseUnavailable(message) from error


def _is_full(error: object) -> bool:
    code, state = getattr(error, "sqlite_errorcode", None), getattr(error, "sqlstate", None)
    return code == sqlite3.SQLITE_FULL or state == _POSTGRES_DISK_FULL


def _sqlite_engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False}, **_POOL)

    @event.listens_for(engine, "connect")
    def _configure(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # no BEGIN by the driver: `_begin` below says which kind
        cursor = connection.cursor()
        for pragma in ("synchronous = FULL", "foreign_keys = ON", f"busy_timeout = {SQLITE_BUSY_MS}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))

    return engine


def _postgres_engine(url: str) -> Engine:
    target = make_url(url).set(drivername="postgresql+psycopg")
    try:
        return create_engine(
            target,
            **_POOL,
            pool_pre_ping=True,
            # A role may have been set to trade durability for speed; an acknowledged item must survive.
            connect_args={"options": "-c synchronous_commit=on", "connect_timeout": 10},
        )
    except ModuleNotFoundError as error:
        raise DatabaseUnavailable(
            "WHICHONE_DATABASE_URL needs psycopg: install it with `pip install 'whichone[postgres]'`"
        ) from error
