"""What lists of jobs can be filtered by, and how many jobs that would leave.

    counts(tx, account, choice) -> Counts       how many of the chosen jobs are in which state, and failed for which cause
    choices(tx, account) -> Choices             what the account's jobs are called, and what they run on

Counting is one walk over the rows that lists with the same choice would walk, at worst all of the account's, without looking at
their states: those that are not done are few and have indexes, the rest is done.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from picloud.store import image
from picloud.store.choice import Choice, conditions
from picloud.store.meter.schema import purpose
from picloud.store.queue.schema import queue
from picloud.store.rows import constant
from picloud.store.schema import FAILED, READY, WAITING, job, kind, lease
from picloud.wire.job import FIRST_FINAL, Cause, Status

MOST = 1000
"""Names of each sort, the ones that came last; others can still be filtered by."""
LOOKED_AT = 20_000
"""Purposes that are looked at for names, the newest."""


class Counts(NamedTuple):
    """How many jobs; what there is none of is left out."""

    states: dict[str, int]
    causes: dict[str, int]


class Choices(NamedTuple):
    """What exists, sorted."""

    functions: list[str]
    labels: list[str]
    queues: list[str]
    core_types: list[str]
    envs: list[str]


def counts(tx: Connection, account: int, choice: Choice | None = None) -> Counts:
    """How many of the chosen jobs there are in each state, and of each cause.

    Raises:
        BadRequest: no such state or cause.
    """
    asked = choice or Choice()
    where = conditions(tx, account, asked)
    if where is None:
        return Counts({}, {})
    if asked.state == Status.done.name and not asked.cause:  # SQLite sorts what it groups
        rows = [(int(Status.done), 0, _count(tx, where))]
    elif asked.state or asked.cause:
        rows = _grouped(tx, where)
    else:
        rows = [*_grouped(tx, [*where, FAILED]), (int(Status.waiting), 0, _count(tx, [*where, WAITING])),
                (int(Status.queued), 0, _count(tx, [*where, READY])), *_grouped(tx, [*where, _LEASED])]  # fmt: skip
        rows.append((int(Status.done), 0, _count(tx, where) - sum(amount for _, _, amount in rows)))
    return _summed(rows)


def _count(tx: Connection, where: list[Any]) -> int:
    return int(tx.execute(select(func.count()).select_from(job).where(*where)).scalar_one())


def _grouped(tx: Connection, where: list[Any]) -> list[tuple[int, int, int]]:
    found = select(job.c.status, job.c.cause, func.count()).where(*where).group_by(job.c.status, job.c.cause)
    return [(int(status), int(cause), int(amount)) for status, cause, amount in tx.execute(found)]


def _summed(rows: list[tuple[int, int, int]]) -> Counts:
    made = Counts({}, {})
    for status, cause, amount in rows:
        if amount:
            made.states[Status(status).name] = made.states.get(Status(status).name, 0) + amount
        if amount and cause and status >= FIRST_FINAL:
            made.causes[Cause(cause).name] = made.causes.get(Cause(cause).name, 0) + amount
    return made


_LEASED = job.c.jid.in_(select(lease.c.jid)) & job.c.status.in_((constant(1), constant(2)))


def choices(tx: Connection, account: int) -> Choices:
    """What the account's jobs were called, and what they ran on, also those that are gone."""
    newest = select(purpose.c.id).where(purpose.c.account == account).order_by(purpose.c.id.desc()).limit(LOOKED_AT).subquery()
    there = select(queue.c.name).where(queue.c.account == account, queue.c.gone == constant(0))
    rows = tx.execute(select(kind.c.core_type, kind.c.env).where(kind.c.account == account).distinct()).all()
    shown = image.shown(tx, {row.env for row in rows})
    return Choices(
        _names(tx, newest, purpose.c.function),
        _names(tx, newest, purpose.c.label),
        sorted(tx.execute(there.order_by(queue.c.id.desc()).limit(MOST)).scalars()),
        sorted({row.core_type for row in rows})[:MOST],
        sorted({one.name for one in shown.values() if one.name})[:MOST],
    )  # fmt: skip


def _names(tx: Connection, newest: Any, column: Any) -> list[str]:
    latest = func.max(purpose.c.id)
    found = select(column).where(purpose.c.id.in_(select(newest.c.id)), column != "").group_by(column).order_by(latest.desc())
    return sorted(tx.execute(found.limit(MOST)).scalars())
