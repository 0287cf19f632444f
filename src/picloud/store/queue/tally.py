"""What happens in queues, counted in windows of 10 s.

add(tx, counts, now)                         counts: queue -> Happened
read(tx, queues, since) -> {queue: [(at, Happened)]}
expire(tx, before) -> int
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, Insert, bindparam, delete, select
from sqlalchemy.ext.compiler import compiles

from picloud.store.queue.schema import tally
from picloud.store.rows import Listed, as_list, run, run_rows

WINDOW = 10_000
"""Milliseconds."""


class Happened(NamedTuple):
    """Messages that ..."""

    came: int = 0  # were pushed
    went: int = 0  # were popped, acknowledged, set aside
    failed: int = 0  # failed for good, of those that went
    retried: int = 0


class _count(Insert):
    """INSERT that adds to the row which is there already."""

    inherit_cache = True
    _inline = True


@compiles(_count)
def _compiled(element: Any, compiler: Any, **kw: Any) -> str:
    sums = ", ".join(f"{name} = tally.{name} + excluded.{name}" for name in Happened._fields)
    return f"{compiler.visit_insert(element, **kw)} ON CONFLICT (queue, at) DO UPDATE SET {sums}"


def add(tx: Connection, counts: Mapping[int, Happened], now: int) -> None:
    """Count what happened just now in some queues."""
    at = now - now % WINDOW
    run_rows(tx, _ADD, [{"queue": number, "at": at, **happened._asdict()} for number, happened in sorted(counts.items())])


def read(tx: Connection, queues: Iterable[int], since: int) -> dict[int, list[tuple[int, Happened]]]:
    """The windows of queues from ``since`` (epoch ms) on, in order; those in which nothing happened are left out."""
    found: dict[int, list[tuple[int, Happened]]] = {number: [] for number in queues}
    for number, at, *happened in run(tx, _READ, queues=as_list(found), since=since).fetchall():
        found[number].append((at, Happened(*happened)))
    return found


def expire(tx: Connection, before: int) -> int:
    """Remove windows that began before ``before``; how many."""
    return int(run(tx, _EXPIRE, before=before).rowcount)


_ADD = _count(tally)
_READ = (
    select(tally.c.queue, tally.c.at, *(tally.c[name] for name in Happened._fields))
    .where(tally.c.queue.in_(Listed("queues").chosen()), tally.c.at >= bindparam("since", type_=BigInteger))
    .order_by(tally.c.queue, tally.c.at)
)
_EXPIRE = delete(tally).where(tally.c.at < bindparam("before", type_=BigInteger))
