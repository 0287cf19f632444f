"""The database: who may write when, and how a transaction becomes durable.

    Database.open(url) -> Database          migrates; SetupError where the database is newer or cannot be opened
    db.write(act, *args, durable=True)      -> concurrent.futures.Future of act(tx, *args)
    db.read(query, *args)                   -> concurrent.futures.Future of query(tx, *args)
    db.close()

``tx`` is an SQLAlchemy Connection inside a transaction. An act may be run again (its group lost a member, or PostgreSQL
found two transactions in each other's way), so it touches nothing but the database and returns what it found.

**SQLite**: one writer at a time takes all acts that wait and commits them as one transaction, a group. An act that raises
gets its exception, and the others of its group run again without it. SQLite itself runs in WAL mode with synchronous=NORMAL,
which fsyncs nothing at a commit; the fsync of the log that synchronous=FULL would do there is ours (``_sync``): in a
thread of its own, one for all groups committed meanwhile, beside the writing of the next group, and only then the answers
are given. (SQLite still orders log, checkpoint and file; see "synchronous" and "WAL-mode" in its documentation.) Where no
act of a group asks for durability nobody waits: a power cut, not a crash, may undo it. An act that finds out on its way that
it needs the fsync after all calls :func:`must_last`.

**PostgreSQL**: several writer threads, one transaction an act (READ COMMITTED), tried again on deadlock or serialization failure.
"""

from __future__ import annotations

import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from picloud.store import migrate
from picloud.store.connect import (
    CHECKPOINT_PAGES,
    OURS,
    check_sqlite,
    database_url,
    first_line,
    passing,
    postgresql_engine,
    raw_of,
    sqlite_engine,
    translated,
)
from picloud.wire.error import SetupError, StorageFull, Unavailable

QUIET = 0.001
"""Seconds after a lone act within which the next one of the same kind has company and waits for more of it."""
PROMPT = 0.002
"""Seconds of an fsync up to which a lone act waits for it where it ran: to have a thread do it takes half a millisecond more
[measured]. Above it the disk is too slow to hold up the event loop."""
GROUP = 256
"""Acts in one SQLite transaction at most."""
TRIES = 20
"""Runs of one act on PostgreSQL before its conflict is told to the caller."""

T = TypeVar("T")
Transaction = Connection
"""What acts and queries are given, for rooms that do not speak SQL."""


@dataclass(slots=True)
class _Work:
    act: Callable[..., Any]
    args: tuple[Any, ...]
    durable: bool
    early: Callable[[Any], object] | None
    future: Future[Any]

    def run(self, tx: Connection) -> Any:
        return self.act(tx, *self.args)


class Settled(Generic[T]):
    """An answer that is there already: what is asked of a future, without its locks."""

    __slots__ = ("_answer", "_error")

    def __init__(self, answer: T | None = None, error: BaseException | None = None) -> None:
        self._answer, self._error = answer, error

    def done(self) -> bool:
        return True

    def cancelled(self) -> bool:
        return False

    def exception(self, timeout: float | None = None) -> BaseException | None:
        return self._error

    def result(self, timeout: float | None = None) -> T:
        if self._error is not None:
            raise self._error
        return self._answer  # type: ignore[return-value]


Answer = Future[T] | Settled[T]


def must_last(tx: Connection) -> None:
    """The transaction shall be on disk before its answers are given, also where its acts were called not durable."""
    tx.info["must_last"] = True


def lasts(tx: Connection) -> bool:
    """Whether an act of this transaction asked for the disk, see :func:`must_last`."""
    return bool(tx.info.get("must_last"))


class Database:
    """An open database; see the module's docstring. Made by :meth:`open`."""

    def __init__(self, url: URL, *, readers: int, writers: int) -> None:
        self.url = url
        self.sqlite = url.get_backend_name() == "sqlite"
        self._engine = sqlite_engine(url, writing=True) if self.sqlite else postgresql_engine(url, writers + readers)
        self._read_engine = sqlite_engine(url, writing=False, size=readers) if self.sqlite else self._engine
        driver: Any = self._engine.dialect.loaded_dbapi
        self._errors: tuple[type[Exception], ...] = (DBAPIError, driver.Error, OSError)
        self._waiting: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="store-read")
        self._door = threading.Lock()
        self._closing = threading.Event()
        self._written = threading.Event()
        self._unsynced: queue.SimpleQueue[list[tuple[Future[Any], Any]] | None] = queue.SimpleQueue()
        self._log_file = -1
        self._sync_time = 2 * PROMPT  # seconds of recent fsyncs, smoothed; slow until it is known
        self._pen = threading.Lock()
        self._writer: Connection | None = None
        self._wrote = {"": 0.0}  # when the last lone act of each kind ended; "": the last group
        loops: list[Callable[[], None]]
        loops = [self._write_groups, self._sync, self._checkpoint] if self.sqlite else [self._write_single] * writers
        self._threads = [threading.Thread(target=loop, name=f"store-{loop.__name__[1:]}", daemon=True) for loop in loops]

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
        for thread in opened._threads:
            thread.start()
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
            if not self._closing.is_set():
                self._waiting.put(_Work(act, args, durable, early, future))
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
        here = self._write_here(kind, act, durable, early) if self.sqlite else None
        return here or self.write(act, durable=durable, early=early)

    def read(self, query: Callable[..., T], *args: Any) -> Future[T]:
        """Run ``query(tx, *args)`` in a short transaction (on SQLite it sees one state of the database, on PostgreSQL each of
        its statements does)."""
        if self._closing.is_set():
            refused: Future[T] = Future()
            refused.set_exception(Unavailable("the store is closed"))
            return refused
        return self._readers.submit(self._read, query, args)

    def close(self) -> None:
        """Commit what waits, then close. Further calls are refused."""
        with self._door:
            if self._closing.is_set():
                return
            self._closing.set()
            for _ in self._threads:
                self._waiting.put(None)
        self._written.set()
        for thread in self._threads:
            thread.join()
        self._readers.shutdown()
        if self._log_file >= 0:
            os.close(self._log_file)
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

    # -- SQLite -----------------------------------------------------------------------------------------------------

    def _write_groups(self) -> None:
        while group := self._next_group():
            with self._pen:
                self._write_group(self._writing(), group)
            self._wrote[""] = time.monotonic()
            self._written.set()
        with self._pen:
            self._writing().close()
        self._unsynced.put(None)

    def _write_here(
        self, kind: str, act: Callable[[Connection], T], durable: bool, early: Callable[[T], object] | None
    ) -> Answer[T] | None:
        """Run one act in this thread if nobody writes, waits to, or did a moment ago; None where it has to queue.

        Acts that come in quick succession belong into groups, which the writer's thread makes of them.
        """
        now, wrote = time.monotonic(), self._wrote
        if not self._waiting.empty() or now - max(wrote[""], wrote.get(kind, 0.0)) < QUIET:
            return None
        if not self._pen.acquire(blocking=False):
            return None
        try:
            return None if self._closing.is_set() else self._write_lone(act, durable, early)
        finally:
            wrote[kind] = time.monotonic()
            self._pen.release()
            self._written.set()

    def _write_lone(self, act: Callable[[Connection], T], durable: bool, early: Callable[[T], object] | None) -> Answer[T]:
        connection = self._writing()
        try:
            (answer,) = self._transact(connection, [act], [])
        except BaseException as error:  # noqa: BLE001 (whatever an act raises is its caller's)
            return Settled(error=translated(error) if isinstance(error, self._errors) else error)
        if early is not None:
            early(answer)
        if not durable and not lasts(connection):
            return Settled(answer)
        if self._sync_time < PROMPT and self._unsynced.empty():
            return Settled(answer, self._fsync())
        future: Future[T] = Future()
        self._unsynced.put([(future, answer)])
        return future

    def _writing(self) -> Connection:
        """The one connection that writes; whoever holds the pen may use it.

        For SQLAlchemy it is in one transaction for good, so that acts can use it as any other connection; the real ones
        below are begun and ended by ``_transact``, which takes a third of the time.
        """
        if self._writer is None:
            self._writer = self._engine.connect()
            self._writer.info[OURS] = True
            self._writer.begin()
        return self._writer

    def _next_group(self) -> list[_Work]:
        """What waits now, at least one act; empty at the end."""
        group: list[_Work] = []
        work = self._waiting.get()
        while work is not None:
            group.append(work)
            if len(group) == GROUP or self._waiting.empty():
                return group
            work = self._waiting.get()
        if group:
            self._waiting.put(None)  # the end was among them: to be seen again after this group
        return group

    def _write_group(self, connection: Connection, group: list[_Work]) -> None:
        group = [work for work in group if work.future.set_running_or_notify_cancel()]
        while group:
            answers: list[Any] = []
            try:
                self._transact(connection, [work.run for work in group], answers)
            except BaseException as error:  # noqa: BLE001 (whatever an act raises is its caller's)
                told = translated(error) if isinstance(error, self._errors) else error
                at_commit = len(answers) == len(group) or isinstance(told, StorageFull)
                for work in group if at_commit else [group[len(answers)]]:
                    work.future.set_exception(told)
                group = [work for work in group if not work.future.done()]
                continue
            self._committed(group, answers, must_last=lasts(connection))
            return

    def _transact(self, connection: Connection, acts: list[Callable[[Connection], T]], answers: list[T]) -> list[T]:
        """Run acts in one transaction, adding their answers one by one.

        The transaction is begun and ended on the driver; see ``_writing`` for what SQLAlchemy thinks of it.
        """
        connection.info["must_last"] = False
        raw = raw_of(connection)
        raw.execute("BEGIN IMMEDIATE")
        try:
            for act in acts:
                answers.append(act(connection))
            raw.execute("COMMIT")
        except BaseException:
            if raw.in_transaction:
                raw.execute("ROLLBACK")
            raise
        return answers

    def _committed(self, group: list[_Work], answers: list[Any], *, must_last: bool) -> None:
        """Give the answers that may go now; the others wait for the next fsync, beside which the next group is written."""
        later: list[tuple[Future[Any], Any]] = []
        for work, answer in zip(group, answers, strict=True):
            if work.early is not None:
                work.early(answer)
            if work.durable or must_last:
                later.append((work.future, answer))
            else:
                work.future.set_result(answer)
        if later:
            self._unsynced.put(later)

    def _sync(self) -> None:
        """The fsyncs of the write-ahead log: one for all groups that were committed since the last one began."""
        ended = False
        while not ended:
            later: list[tuple[Future[Any], Any]] = []
            while not ended and (not later or not self._unsynced.empty()):
                more = self._unsynced.get()
                ended = more is None
                later += more or []
            if not later:
                return
            error = self._fsync()
            for future, answer in later:
                if error is None:
                    future.set_result(answer)
                else:
                    future.set_exception(error)

    def _fsync(self) -> Unavailable | None:
        """Bring all that is committed to the disk; the error where that fails."""
        began = time.monotonic()
        try:
            os.fdatasync(self._log())
        except OSError as error:
            return Unavailable(f"the database's disk failed: {error}", hint="see the system's log")
        self._sync_time += (time.monotonic() - began - self._sync_time) / 8
        return None

    def _log(self) -> int:
        """The write-ahead log's file, which lives as long as our connections."""
        if self._log_file < 0:
            self._log_file = os.open(f"{self.url.database}-wal", os.O_RDWR | os.O_CLOEXEC)
        return self._log_file

    def _checkpoint(self) -> None:
        wal = f"{self.url.database}-wal"
        with self._read_engine.connect() as connection:
            while not self._closing.is_set():
                self._written.wait()
                self._written.clear()
                try:
                    if os.path.getsize(wal) > CHECKPOINT_PAGES * 4096:
                        raw_of(connection).execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                except (OSError, sqlite3.Error):
                    continue  # the writer's own checkpoint stands behind this one
                self._closing.wait(0.2)

    # -- PostgreSQL -------------------------------------------------------------------------------------------------

    def _write_single(self) -> None:
        while work := self._waiting.get():
            if not work.future.set_running_or_notify_cancel():
                continue
            try:
                answer = self._run(work)
            except BaseException as error:  # noqa: BLE001 (whatever an act raises is its caller's)
                work.future.set_exception(translated(error) if isinstance(error, self._errors) else error)
            else:
                work.future.set_result(answer)

    def _run(self, work: _Work) -> Any:
        for left in reversed(range(TRIES)):
            try:
                with self._engine.begin() as tx:
                    tx.info["must_last"] = False
                    answer = work.act(tx, *work.args)
                    if not work.durable and not tx.info["must_last"]:
                        tx.exec_driver_sql("SET LOCAL synchronous_commit = off")
                if work.early is not None:
                    work.early(answer)
                return answer
            except self._errors as error:
                if not left or not passing(error):
                    raise
        raise AssertionError("the last try returns or raises")
