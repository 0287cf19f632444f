"""What an operator's charts show of the whole installation, in few and quick questions.

jobs(tx) -> list[Jobs]                      unfinished ones, by state and core type
queues(tx, now, limit) -> list[Queued]      the fullest of all accounts
database_size(tx) -> int                    bytes
"""

from __future__ import annotations

import os
from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, bindparam, func, literal_column, select, text

from picloud.store.queue import queue as counts
from picloud.store.queue import tally
from picloud.store.queue.queue import Count, Queue
from picloud.store.queue.schema import queue
from picloud.store.queue.tally import WINDOW, Happened
from picloud.store.rows import run
from picloud.store.schema import READY, WAITING, account, job, kind, lease


class Jobs(NamedTuple):
    """Jobs in one state."""

    state: str  # waiting, queued or processing
    core_type: str  # "" = not told: of those that wait for others
    amount: int


class Queued(NamedTuple):
    """One queue."""

    account: str
    name: str
    inside: Count
    lately: Happened  # in the last whole window of 10 s


def jobs(tx: Connection) -> list[Jobs]:
    """Unfinished jobs. Those that are leased and do not run yet count as queued."""
    found = [Jobs("waiting", "", tx.execute(_WAITING).scalar_one())]
    ready: dict[str, int] = {core_type: int(amount) for core_type, amount in tx.execute(_READY)}
    for core_type, leased, started in tx.execute(_LEASED):
        found.append(Jobs("processing", core_type, started))
        ready[core_type] = ready.get(core_type, 0) + leased - started
    return found + [Jobs("queued", core_type, amount) for core_type, amount in sorted(ready.items())]


def queues(tx: Connection, now: int, limit: int) -> tuple[list[Queued], int]:
    """The queues with the most messages, ``limit`` of them; and how many there are."""
    rows = run(tx, _QUEUES, limit=limit).fetchall()
    whole = int(tx.execute(_QUEUE_COUNT).scalar_one())
    since = now - now % WINDOW - WINDOW
    lately = tally.read(tx, [row[1] for row in rows], since)
    found = []
    for owner, *fields in rows:
        one = Queue(*fields)
        windows = dict(lately[one.id])
        found.append(Queued(owner, one.name, counts.count(tx, one, now), windows.get(since, Happened())))
    return found, whole


def database_size(tx: Connection) -> int:
    """Bytes of the database on disk, with what of its log is not in it yet."""
    if tx.dialect.name == "sqlite":
        path = str(tx.engine.url.database)
        return sum(os.path.getsize(each) for each in (path, f"{path}-wal") if os.path.exists(each))
    return int(tx.execute(text("SELECT pg_database_size(current_database())")).scalar_one())


_WAITING = select(func.count()).where(WAITING)
_by_kind = select(job.c.kind, func.count().label("amount")).where(READY).group_by(job.c.kind).subquery()
_READY = (
    select(kind.c.core_type, func.sum(_by_kind.c.amount))
    .join_from(_by_kind, kind, kind.c.id == _by_kind.c.kind)
    .group_by(kind.c.core_type)
)
_LEASED = (
    select(kind.c.core_type, func.count(), func.count(lease.c.started))
    .join_from(lease, job, job.c.jid == lease.c.jid)
    .join(kind, kind.c.id == job.c.kind)
    .where(job.c.status < literal_column("3"))
    .group_by(kind.c.core_type)
)
_here = queue.c.gone == literal_column("0")
_QUEUE_COUNT = select(func.count()).select_from(queue).where(_here)
_QUEUES = (
    select(account.c.name, *(queue.c[name] for name in Queue._fields))
    .join_from(queue, account, account.c.id == queue.c.account)
    .where(_here)
    .order_by((queue.c.size + queue.c.dead).desc(), queue.c.id)
    .limit(bindparam("limit", type_=BigInteger))
)
