"""The one writer of an SQLite database.

All acts that wait are committed as one transaction, a group; an act that raises gets its exception, and the others of its
group run again without it. SQLite runs in WAL mode with synchronous=NORMAL, which fsyncs nothing at a commit; the fsync of
the log that synchronous=FULL would do there is ours: in a thread of its own, one for all groups committed meanwhile, beside
the writing of the next group, and only then the answers are given. (SQLite still orders log, checkpoint and file; see
"synchronous" and "WAL-mode" in its documentation.)
"""

from __future__ import annotations

import contextlib
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from picloud.store.connect import CHECKPOINT_PAGES, OURS, raw_of, translated
from picloud.store.work import Answer, Settled, Work, lasts
from picloud.wire.error import StorageFull, Unavailable

QUIET = 0.001
"""Seconds after a lone act within which the next one of the same kind has company and waits for more of it."""
PROMPT = 0.002
"""Seconds of an fsync up to which a lone act waits for it where it ran: to have a thread do it takes half a millisecond more
[measured]. Above it the disk is too slow to hold up the event loop."""
GROUP = 256
"""Acts in one transaction at most."""
LOG_SIZE = CHECKPOINT_PAGES * 4096
"""Bytes of write-ahead log that are there from the start: fsync takes 0.3 ms where the log lies already, 0.5 ms where the file
grows as well [measured]. What is not written yet is zeros, which SQLite takes for the end."""

T = TypeVar("T")


class Writer:
    """See the module.

    Args:
        engine: connections that write.
        readers: connections that read.
        path: of the database.
        errors: what the driver raises.
    """

    def __init__(self, engine: Engine, readers: Engine, path: str, errors: tuple[type[Exception], ...]) -> None:
        self._engine, self._read_engine, self._wal, self._errors = engine, readers, f"{path}-wal", errors
        self._waiting: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._written = threading.Event()
        self._unsynced: queue.SimpleQueue[list[tuple[Future[Any], Any]] | None] = queue.SimpleQueue()
        self._log_file = -1
        self._sync_time = 2 * PROMPT  # seconds of recent fsyncs, smoothed; slow until it is known
        self._pen = threading.Lock()
        self._connection: Connection | None = None
        self._wrote = {"": 0.0}  # when the last lone act of each kind ended; "": the last group
        loops: list[Callable[[], None]] = [self._write_groups, self._sync, self._checkpoint]
        self._threads = [threading.Thread(target=loop, name=f"store-{loop.__name__[1:]}", daemon=True) for loop in loops]

    def start(self) -> None:
        """Begin to write."""
        self._lay_log()
        for thread in self._threads:
            thread.start()

    def put(self, work: Work) -> None:
        """Write it with whatever else waits."""
        self._waiting.put(work)

    def close(self) -> None:
        """Commit what waits, and end; nothing is put any more."""
        self._closing.set()
        self._waiting.put(None)
        self._written.set()
        for thread in self._threads:
            thread.join()
        if self._log_file >= 0:
            os.close(self._log_file)

    # -- one act, here and now --------------------------------------------------------------------------------------

    def write_here(
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

    def write_together(self, group: list[Work], *, lone: bool) -> bool:
        """Run these acts as one transaction in this thread, if nobody writes or waits to; False where they have to queue.

        Args:
            lone: there is nothing that could be done while they go to the disk.
        """
        if not self._waiting.empty() or not self._pen.acquire(blocking=False):
            return False
        try:
            if self._closing.is_set():
                return False
            self._write_group(self._writing(), group, lone=lone)
            return True
        finally:
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

    # -- groups -----------------------------------------------------------------------------------------------------

    def _write_groups(self) -> None:
        while group := self._next_group():
            with self._pen:
                self._write_group(self._writing(), group)
            self._wrote[""] = time.monotonic()
            self._written.set()
        with self._pen:
            self._writing().close()
        self._unsynced.put(None)

    def _next_group(self) -> list[Work]:
        """What waits now, at least one act; empty at the end."""
        group: list[Work] = []
        work = self._waiting.get()
        while work is not None:
            group.append(work)
            if len(group) == GROUP or self._waiting.empty():
                return group
            work = self._waiting.get()
        if group:
            self._waiting.put(None)  # the end was among them: to be seen again after this group
        return group

    def _write_group(self, connection: Connection, group: list[Work], *, lone: bool = False) -> None:
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
            self._committed(group, answers, must_last=lasts(connection), lone=lone)
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

    def _committed(self, group: list[Work], answers: list[Any], *, must_last: bool, lone: bool) -> None:
        """Give the answers that may go now; the others wait for the next fsync, beside which the next group is written.

        Args:
            lone: nothing can be done meanwhile: a quick fsync is done in this thread.
        """
        later: list[tuple[Future[Any], Any]] = []
        for work, answer in zip(group, answers, strict=True):
            if work.early is not None:
                work.early(answer)
            if work.durable or must_last:
                later.append((work.future, answer))
            else:
                work.future.set_result(answer)
        if lone and later and self._sync_time < PROMPT and self._unsynced.empty():
            _answered(later, self._fsync())
        elif later:
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
            _answered(later, self._fsync())

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
            self._log_file = os.open(self._wal, os.O_RDWR | os.O_CLOEXEC)
        return self._log_file

    def _lay_log(self) -> None:
        """Make the log as long as it will soon be."""
        with self._pen, contextlib.suppress(OSError):  # a full disk: the log grows as it can
            self._writing()
            size = os.fstat(self._log()).st_size
            if size < LOG_SIZE:
                os.pwrite(self._log(), bytes(LOG_SIZE - size), size)
                os.fdatasync(self._log())

    def _checkpoint(self) -> None:
        with self._read_engine.connect() as connection:
            while not self._closing.is_set():
                self._written.wait()
                self._written.clear()
                try:
                    if os.path.getsize(self._wal) > LOG_SIZE:
                        raw_of(connection).execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                except (OSError, sqlite3.Error):
                    continue  # the writer's own checkpoint stands behind this one
                self._closing.wait(0.2)

    def _writing(self) -> Connection:
        """The one connection that writes; whoever holds the pen may use it.

        For SQLAlchemy it is in one transaction for good, so that acts can use it as any other connection; the real ones
        below are begun and ended by ``_transact``, which takes a third of the time.
        """
        if self._connection is None:
            self._connection = self._engine.connect()
            self._connection.info[OURS] = True
            self._connection.begin()
        return self._connection


def _answered(later: list[tuple[Future[Any], Any]], error: Unavailable | None) -> None:
    """Give the answers that waited for the disk."""
    for future, answer in later:
        if error is None:
            future.set_result(answer)
        else:
            future.set_exception(error)
