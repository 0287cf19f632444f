"""Short words for the store's tests: one account, a worker, and what happens between them."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any

from sqlalchemy import Connection

from picloud.store import account, job, worker
from picloud.store.act import accept, finish, kill, lease, revoke
from picloud.store.act.answer import Finish
from picloud.store.db import Database
from picloud.wire.job import Cause, Failure, Options, Status
from picloud.wire.message import Arguments, Chunk, Code, Lease, Outcome, Submit, Submitted

CODE = Code(hashlib.sha256(b"code").hexdigest(), "function", b"code", {"name": "f"})
DEADLINE = 20.0


def arguments(count: int, start: int = 0) -> Arguments:
    """Job i has the argument b"a<i>"."""
    parts = [b"a%d" % i for i in range(start, start + count)]
    ends = [sum(len(p) for p in parts[: i + 1]) for i in range(count)]
    return Arguments(ends, b"".join(parts), [str(i) for i in range(start, start + count)])


def submission(count: int | None, sent: int | None = None, **options: Any) -> Submit:
    """A map of ``count`` jobs of which ``sent`` come along."""
    sent = (count or 0) if sent is None else sent
    chosen = Options(**{"core_type": "c1", **options})
    return Submit(os.urandom(16), CODE.digest, [], "3.11", "f", chosen, count, arguments(sent), code=[CODE])


class Keeper:
    """One account on a store. Time is the counter ``now``."""

    def __init__(self, db: Database, name: str = "ann", number: int = 0) -> None:
        """``number``: of an account that is there already."""
        self.db, self.now = db, 1_000
        self.account: int = number or self.write(account.create, name, self.now)

    def write(self, act: Callable[..., Any], *args: Any, db: Database | None = None) -> Any:
        """Run an act and wait for its answer."""
        return (db or self.db).write(act, *args).result(DEADLINE)

    def read(self, query: Callable[..., Any], *args: Any) -> Any:
        """Run a query and wait for its answer."""
        return self.db.read(query, *args).result(DEADLINE)

    def tick(self) -> int:
        """A later time."""
        self.now += 1
        return self.now

    def submit(self, m: Submit) -> Submitted:
        """Submit it."""
        made: Submitted = self.write(lambda tx: accept.submit(tx, self.account, m, now=self.tick()))[0]
        return made

    def map(self, count: int | None, sent: int | None = None, **options: Any) -> Submitted:
        """Submit a map."""
        return self.submit(submission(count, sent, **options))

    def chunk(self, to: Submitted, offset: int, count: int, *, final: bool = False) -> Any:
        """Send a further chunk."""
        c = Chunk(to.submission, offset, arguments(count, offset), final)
        return self.write(accept.chunk, self.account, c, hashlib.sha256(repr(c).encode()).digest(), self.tick())[0]

    def kind(self) -> int:
        """The kind of the jobs above."""
        (found,) = {row.kind for row in self.read(job.ready) if row.account == self.account} or {1}
        return found

    def worker(self, kind: int | None = None) -> int:
        """A new worker of that kind."""
        return int(self.write(worker.create, os.urandom(8).hex(), self.kind() if kind is None else kind, "secret", self.now))

    def take(self, by: int, want: int = 100, prefer: tuple[int, ...] = (), kind: int = 1) -> list[Lease]:
        """Lease jobs to a worker."""
        found: list[Lease] = self.write(lease.take, by, kind, want, list(prefer), self.tick())
        return found

    def start(self, by: int, *leases: Lease) -> list[int]:
        """Report starts."""
        moved: list[int] = self.write(lease.started, by, [(one.jid, one.n, one.lease) for one in leases], self.tick())
        return moved

    def give_back(self, by: int, *leases: Lease) -> set[int]:
        """Return leases."""
        kinds: set[int] = self.write(lease.returned, by, [(one.jid, one.n, one.lease) for one in leases], self.tick())
        return kinds

    def finish(self, by: int, *outcomes: Outcome) -> Finish:
        """Report ends."""
        answer: Finish = self.write(finish.finish, by, list(outcomes), self.tick())
        return answer

    def kill(self, ranges: list[tuple[int, int]] | None) -> tuple[Finish, list[tuple[int, int, int]]]:
        """Kill jobs."""
        answer: tuple[Finish, list[tuple[int, int, int]]] = self.write(kill.kill, self.account, ranges, self.tick())
        return answer

    def revoke(self, by: int) -> Finish:
        """Declare a worker dead."""
        answer: Finish = self.write(revoke.revoke, by, "its process is gone", self.tick())
        return answer

    def status(self, first: int, count: int = 1) -> str:
        """Names of states, joined."""
        return " ".join(Status(byte).name for byte in self.read(job.statuses, self.account, [(first, count)]))


def done(one: Lease, data: bytes = b"r") -> Outcome:
    """A good end."""
    return Outcome(one.jid, one.n, one.lease, 0, 5, data=data, preview="=1")


def failed(one: Lease, cause: Cause = Cause.exception, *, retry: bool = False) -> Outcome:
    """A bad end."""
    return Outcome(one.jid, one.n, one.lease, int(cause), 5, failure=Failure(cause.name, "it broke"), retry=retry)


def overlapped(db: Database, other: Database, first: Callable[[Connection], Any], second: Callable[[Connection], Any]
               ) -> tuple[Any, Any]:  # fmt: skip
    """Run ``second`` on the other connection after the statements of ``first`` and before its commit.

    Waits until ``second`` has ended, or waits for a lock of ``first``, before that commits.
    """
    begun: list[Future[Any]] = []

    def holding(tx: Connection) -> Any:
        answer = first(tx)
        if not begun:
            begun.append(other.write(second))
            until = time.monotonic() + DEADLINE
            while not begun[0].done() and not _blocked(tx):
                wait(begun, timeout=0.01)
                assert time.monotonic() < until, "the second act neither ended nor waited"
        return answer

    answer = db.write(holding).result(DEADLINE)
    return answer, begun[0].result(DEADLINE)


def _blocked(tx: Connection) -> bool:
    if tx.dialect.name == "sqlite":
        return True  # a second writer waits at BEGIN IMMEDIATE, always
    tx.exec_driver_sql("SELECT pg_stat_clear_snapshot()")
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return bool(tx.exec_driver_sql(waiting).scalar_one())
