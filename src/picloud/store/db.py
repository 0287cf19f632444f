"""The database: what may be asked of it, whichever it is.

    Database.open(url) -> Database          migrates; SetupError where the database is newer or cannot be opened
    db.write(act, *args, durable=True)      -> concurrent.futures.Future of act(tx, *args)
    db.write_few(kind, act)                 the same for an act of a few rows
    db.write_together(acts)                 the same for acts that came at the same time, each of a few rows
    db.read(query, *args)                   -> concurrent.futures.Future of query(tx, *args)
    db.look(query, *args)                   -> Answer: a query that finds a few rows by their keys
    db.close()

``tx`` is an SQLAlchemy Connection inside a transaction. An act may be run again (its group lost a member, or PostgreSQL
found two transactions in each other's way), so it touches nothing but the database and returns what it found. Where no
act of a transaction asks for durability nobody waits for the disk: a power cut, not a crash, may undo it. An act that finds
out on its way that it needs the disk after all calls :func:`must_last`.

SQLite has one writer (:mod:`picloud.store.sqlite`), PostgreSQL several (:mod:`picloud.store.postgres`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from picloud.store import migrate
from picloud.store.connect import check_sqlite, database_url, first_line, postgresql_engine, sqlite_engine, translated
from picloud.store.glass import Glass
from picloud.store.postgres import Writers
from picloud.store.sqlite import Writer
from picloud.store.work import Answer, Settled, Work, lasts, must_last
from picloud.wire.error import CloudException, SetupError, Unavailable

__all__ = ["Answer", "Database", "Settled", "Transaction", "lasts", "must_last"]

T = TypeVar("T")


class Few(NamedTuple):
    """An act of a few rows."""

    act: Callable[[Connection], Any]
    durable: bool = True
    lone: bool = True  # its caller does nothing else meanwhile: the sooner it is on disk, the better


TOGETHER = 16
"""Acts that may hold up the calling thread, which is the server's event loop; more are the writer's."""
Transaction = Connection
"""What acts and queries are given, for rooms that do not speak SQL."""


class Database:
    """An open database; see the module's docstring. Made by :meth:`open`."""

    def __init__(self, url: URL, *, readers: int, writers: int) -> None:
        self.url = url
        self.sqlite = url.get_backend_name() == "sqlite"
        self._engine = sqlite_engine(url, writing=True) if self.sqlite else postgresql_engine(url, writers + readers)
        self._read_engine = sqlite_engine(url, writing=False, size=readers + 1) if self.sqlite else self._engine
        driver: Any = self._engine.dialect.loaded_dbapi
        self._errors: tuple[type[Exception], ...] = (DBAPIError, driver.Error, OSError)
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="store-read")
        self._door = threading.Lock()
        self._closed = False
        self._one = Writer(self._engine, self._read_engine, str(url.database), self._errors) if self.sqlite else None
        self._writer = self._one or Writers(self._engine, writers, self._errors)
        self._glass = Glass(self._read_engine) if self.sqlite else None

    @classmethod
    def open(cls, url: str, *, readers: int = 2, writers: int = 4) -> Database:
        """Open the database at an SQLAlchemy URL, making or migrating its tables.

        Args:
            url: ``sqlite:////abs/path`` or ``postgresql://...`` (psycopg 3 is used).
            readers: threads that read.
            writers: threads that write (PostgreSQL).

        Raises:
            SetupError: no such server, no right to write, or a database from a newer version.
        """
        parsed = database_url(url)
        opened = cls(parsed, readers=readers, writers=writers)
        try:
            if opened.sqlite:
                check_sqlite(opened._engine)
            migrate.up_to_date(opened._engine)
        except opened._errors as error:
            opened._dispose()
            raise SetupError(f"cannot open the database {parsed!r}: {first_line(error)}",
                             hint="check that it is there and that this user may write it") from error  # fmt: skip
        except BaseException:
            opened._dispose()
            raise
        opened._writer.start()
        return opened

    def write(
        self,
        act: Callable[..., T],
        *args: Any,
        durable: bool = True,
        early: Callable[[T], object] | None = None,
    ) -> Future[T]:
        """Run ``act(tx, *args)`` in a transaction. The future is done when the transaction is on disk
        (``durable``), or at least committed.

        Args:
            early: called with the answer as soon as it is committed, before it is on disk, in a thread of ours. For what
                may go on meanwhile, since a power cut would take it back together with its cause.
        """
        future: Future[T] = Future()
        with self._door:
            if not self._closed:
                self._writer.put(Work(act, args, durable, early, future))
                return future
        future.set_exception(Unavailable("the store is closed"))
        return future

    def write_few(
        self, kind: str, act: Callable[[Connection], T], *, durable: bool = True, early: Callable[[T], object] | None = None
    ) -> Answer[T]:
        """The same for an act of a few rows, in less time where it is a lone one.

        Where the writer has nothing to do, and had no act of this ``kind`` a moment ago, it runs at once in the calling
        thread, for two changes of thread take longer than it does; then ``early``; then, on a disk that is quick at it, the
        fsync. The answer is there then.
        """
        here = self._one.write_here(kind, act, durable, early) if self._one is not None else None
        return here or self.write(act, durable=durable, early=early)

    def write_together(self, acts: Sequence[Few]) -> list[Future[Any]]:
        """The same for acts that came at the same time, each of a few rows: one transaction in the calling thread, where the
        writer has nothing to do. A lone one is then on a quick disk when this returns; others are when their futures say so.
        """
        if self._one is not None and not self._closed and len(acts) <= TOGETHER:
            made = [Work(few.act, (), few.durable, None, Future()) for few in acts]
            if self._one.write_together(made, lone=len(acts) == 1 and acts[0].lone):
                return [one.future for one in made]
        return [self.write(few.act, durable=few.durable) for few in acts]

    def look(self, query: Callable[..., T], *args: Any) -> Answer[T]:
        """The same as :meth:`read` for a query that finds a few rows by their keys: on SQLite it runs in the calling thread,
        which must always be the same one, for two changes of thread take several times as long."""
        if self._glass is None or self._closed:
            return self.read(query, *args)
        try:
            return Settled(self._glass.look(query, args))
        except self._errors as error:
            return Settled(error=translated(error))
        except CloudException as error:
            return Settled(error=error)

    def read(self, query: Callable[..., T], *args: Any) -> Future[T]:
        """Run ``query(tx, *args)`` in a short transaction (on SQLite it sees one state of the database, on PostgreSQL each of
        its statements does)."""
        if self._closed:
            refused: Future[T] = Future()
            refused.set_exception(Unavailable("the store is closed"))
            return refused
        return self._readers.submit(self._read, query, args)

    def close(self) -> None:
        """Commit what waits, then close. Further calls are refused."""
        with self._door:
            if self._closed:
                return
            self._closed = True
        self._writer.close()
        self._readers.shutdown()
        if self._glass is not None:
            self._glass.close()
        self._dispose()

    def _dispose(self) -> None:
        self._engine.dispose()
        self._read_engine.dispose()

    def _read(self, query: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        try:
            with self._read_engine.begin() as tx:
                return query(tx, *args)
        except self._errors as error:
            raise translated(error) from error
