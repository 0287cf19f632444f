"""What came of the times of crons: a row for each job, and for each time without one.

add(tx, call, at, why, jid, now, trouble)
of(tx, call, limit) -> list[Run]          the newest first
forget(tx, call) / expire(tx, before)
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, bindparam, delete, select

from picloud.store.call.schema import runs
from picloud.store.rows import add as adding
from picloud.store.rows import run, text
from picloud.store.schema import job
from picloud.wire.call import Why

LONGEST_TROUBLE = 500
"""Characters."""


class Run(NamedTuple):
    """A row, with the status of its job."""

    at: int
    made: int
    why: int
    jid: int
    trouble: str
    status: int | None


def add(tx: Connection, call: int, at: int, why: Why, jid: int, now: int, trouble: str = "") -> None:
    """Write down one time; of a job that is written down already, nothing."""
    run(tx, _ADD, call=call, at=at, made=now, why=int(why), jid=jid, trouble=text(trouble[:LONGEST_TROUBLE]))


def of(tx: Connection, call: int, limit: int) -> list[Run]:
    """The newest runs of a cron."""
    return [Run(*row) for row in run(tx, _OF, call_=call, limit=limit).fetchall()]


def forget(tx: Connection, call: int) -> None:
    """Remove the whole history of a cron."""
    run(tx, _FORGET, call_=call)


def expire(tx: Connection, before: int, limit: int = 5000) -> bool:
    """Remove some rows that were made before ``before`` (epoch ms); whether there may be more."""
    return bool(run(tx, _EXPIRE, before=before, limit=limit).rowcount == limit)


_ADD = adding(runs)
_limit = bindparam("limit", type_=BigInteger)
_its = runs.c.call == bindparam("call_", type_=BigInteger)
_OF = (
    select(*(runs.c[name] for name in Run._fields[:-1]), job.c.status)
    .join_from(runs, job, job.c.jid == runs.c.jid, isouter=True)
    .where(_its)
    .order_by(runs.c.id.desc())
    .limit(_limit)
)
_FORGET = delete(runs).where(_its)
_old = select(runs.c.id).where(runs.c.made < bindparam("before", type_=BigInteger)).limit(_limit)
_EXPIRE = delete(runs).where(runs.c.id.in_(_old))
