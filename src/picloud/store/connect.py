"""Connections to the two databases, and what their errors mean to us."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from picloud.wire.error import CloudException, SetupError, StorageFull, Unavailable

PATIENCE = 30
"""Seconds that SQLite waits for another connection's lock."""
OURS = "transactions are ours"
"""In the ``info`` of a connection: whoever uses it begins and ends transactions on the driver."""
CHECKPOINT_PAGES = 1000
"""Pages (4 KB) of write-ahead log after which the checkpointer moves them into the file, beside the writer."""
HARD_CHECKPOINT_PAGES = 16_000
"""Pages after which the writer does it itself, so that the log stays below 64 MB or so under constant load."""


def database_url(url: str) -> URL:
    """A database URL with the driver we use.

    Raises:
        SetupError: it is none, or of a database that is not supported.
    """
    hint = "SQLite: sqlite:////absolute/path; PostgreSQL: postgresql://user@host/name"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise SetupError("the setting `database` is no database URL", hint=hint) from error
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise SetupError(f"databases of type {parsed.drivername!r} are not supported", hint=hint)
    return parsed


def passing(error: Exception) -> bool:
    """A conflict of two transactions, or a connection that the pool has to replace: worth another try."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return getattr(getattr(error, "orig", error), "sqlstate", None) in ("40001", "40P01", "23505")


def raw_of(connection: Connection) -> sqlite3.Connection:
    """The driver's own connection below SQLAlchemy's."""
    raw: Any = connection.connection.dbapi_connection
    return raw  # type: ignore[no-any-return]


def make_private(database: Path) -> None:
    """See to it that an SQLite file, new or old, is its owner's alone; its log takes after it.

    An old one is never opened here: closing it again would end the locks that SQLite holds in this process.
    """
    with contextlib.suppress(OSError):  # a folder that is not there or not ours, SQLite says better
        os.close(os.open(database, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    for name in (database.name, f"{database.name}-wal", f"{database.name}-shm"):
        with contextlib.suppress(OSError):
            database.with_name(name).chmod(0o600)


def sqlite_engine(url: URL, *, writing: bool, size: int = 1) -> Engine:
    """Connections to an SQLite file, for the writer or for readers."""
    if writing and url.database:
        make_private(Path(url.database))
    engine = create_engine(url, connect_args={"check_same_thread": False, "cached_statements": 512, "timeout": PATIENCE},
                           pool_size=size + 1, max_overflow=0, query_cache_size=1000)  # fmt: skip

    @event.listens_for(engine, "connect")
    def _connected(raw: sqlite3.Connection, _: Any) -> None:
        raw.isolation_level = None  # transactions are ours, see _begun
        _write_ahead(raw)
        for pragma in ("synchronous = NORMAL", "temp_store = MEMORY",
                       f"cache_size = -{65_536 if writing else 16_384}",
                       f"wal_autocheckpoint = {HARD_CHECKPOINT_PAGES if writing else 0}",
                       f"journal_size_limit = {CHECKPOINT_PAGES * 4096}",  # so that its size tells of frames not yet moved
                       f"query_only = {int(not writing)}"):  # fmt: skip
            raw.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        if not connection.info.get(OURS):
            raw_of(connection).execute("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _write_ahead(raw: sqlite3.Connection) -> None:
    """Switch to a write-ahead log. Where another connection does so just now, SQLite refuses at once instead of waiting."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            raw.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def check_sqlite(engine: Engine) -> None:
    """Refuse an SQLite that joins bytes otherwise than :class:`picloud.store.rows.glued` needs."""
    joined = "SELECT CAST(group_concat(b, '') AS BLOB) FROM (SELECT x'0080ff00' AS b UNION ALL SELECT x'c328')"
    with engine.connect() as connection:
        if raw_of(connection).execute(joined).fetchone() != (b"\x00\x80\xff\x00\xc3\x28",):
            raise SetupError(f"SQLite {sqlite3.sqlite_version} cannot join bytes", hint="use a Python with SQLite 3.40 or newer")


def postgresql_engine(url: URL, size: int) -> Engine:
    """Connections to a PostgreSQL server."""
    return create_engine(url, pool_size=size, max_overflow=0, pool_pre_ping=True, query_cache_size=1000)


def first_line(error: BaseException) -> str:
    """What the driver said, in one line."""
    return str(getattr(error, "orig", None) or error).strip().split("\n")[0]


def translated(error: BaseException) -> CloudException:
    """The driver's error as one of ours; only the first line of its text goes out."""
    line = first_line(error)
    if "disk is full" in line or "No space left" in line:
        return StorageFull(f"the database's disk is full: {line}", hint="free some space; nothing was stored")
    return Unavailable(f"the database refused: {line}", hint="try again; if it stays, run picloud doctor")
