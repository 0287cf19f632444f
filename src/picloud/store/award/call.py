"""Calls for applications: who may win how much until when. They belong to the installation, and have names.

open_(tx, asked, now)                       Conflict: there is one of that name; BadRequest
close(tx, name, now)                        once more changes nothing; NotFound
every(tx, now, only_open=False) -> list[Call]       the newest first
find(tx, name, now) -> Call                 "" = the only open one; NotFound, BadRequest
held(tx, number, now) -> Call               the same, nobody else changes it or an application for it meanwhile
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, func, or_, select, update

from picloud.store.award.schema import application, grant_call
from picloud.store.rows import add, run
from picloud.wire.award import MOST_AWARDS, State, line
from picloud.wire.error import BadRequest, Conflict, NotFound
from picloud.wire.money import MOST


class Asked(NamedTuple):
    """A call to be opened."""

    name: str
    deadline: int  # epoch ms
    awards: int
    amount: int  # of each, see wire.money
    ends: int = 0  # epoch ms: when the grants end that come of it; 0 = never


class Call(NamedTuple):
    """A row, and what has come of it."""

    id: int
    name: str
    deadline: int
    awards: int
    amount: int
    ends: int  # 0 = never
    created: int
    closed: int | None
    open: bool
    applications: int  # without those that were withdrawn
    given: int  # awards


def open_(tx: Connection, asked: Asked, now: int) -> None:
    """Let accounts apply.

    Raises:
        BadRequest: the name or a figure cannot be, or the deadline has passed.
        Conflict: there is a call of that name already.
    """
    name = line("the name of a call", asked.name, 100)
    if not now < asked.deadline < 1 << 52:
        raise BadRequest("the deadline of a call lies ahead", deadline=asked.deadline)
    if not 1 <= asked.awards <= MOST_AWARDS:
        raise BadRequest(f"a call with {asked.awards} awards", hint=f"1 to {MOST_AWARDS:,}")
    if not 0 < asked.amount <= MOST:
        raise BadRequest("an award is more than nothing and at most a million dollars", found=asked.amount)
    if asked.ends and not asked.deadline < asked.ends < 1 << 52:
        raise BadRequest("the grants of a call end after its deadline", ends=asked.ends)
    if not run(tx, _OPEN, **asked._asdict() | {"name": name, "created": now}).rowcount:
        raise Conflict(f"there is a call {name!r} already", hint="picloud admin call list")


def close(tx: Connection, name: str, now: int) -> None:
    """Let nobody apply any further, before the deadline; what was sent can still be awarded.

    Raises:
        NotFound: there is none of that name.
    """
    found = find(tx, name, now)
    tx.execute(update(grant_call).where(grant_call.c.id == found.id, grant_call.c.closed.is_(None)).values(closed=now))


def every(tx: Connection, now: int, only_open: bool = False) -> list[Call]:
    """All calls, the newest first."""
    rows = _ROWS.where(grant_call.c.closed.is_(None), grant_call.c.deadline > now) if only_open else _ROWS
    return [_call(row, now) for row in tx.execute(rows.order_by(grant_call.c.id.desc()))]


def find(tx: Connection, name: str, now: int) -> Call:
    """A call by its name; "" = the only one that is open.

    Raises:
        NotFound: there is none.
        BadRequest: none is named, and several are open.
    """
    if not name:
        there = every(tx, now, only_open=True)
        if len(there) > 1:
            raise BadRequest("several calls are open", hint=f"name one: {', '.join(repr(one.name) for one in there[:20])}")
        if not there:
            raise NotFound("no call is open now", hint="picloud grant calls")
        return there[0]
    row = tx.execute(_ROWS.where(grant_call.c.name == name.strip())).one_or_none() if "\0" not in name else None
    if row is None:
        raise NotFound(f"there is no call {name[:100]!r}", hint="picloud grant calls")
    return _call(row, now)


def held(tx: Connection, number: int, now: int) -> Call:
    """A call, locked until the transaction ends: applications come, change and win one behind the other."""
    tx.execute(select(grant_call.c.id).where(grant_call.c.id == number).with_for_update()).one()
    return _call(tx.execute(_ROWS.where(grant_call.c.id == number)).one(), now)


def _call(row: Any, now: int) -> Call:
    *columns, applications, given = row
    is_open = row.closed is None and now < row.deadline
    return Call._make([*columns, is_open, applications or 0, given or 0])


def _count(*states: State) -> Any:
    wanted = or_(*(application.c.state == int(state) for state in states))
    return select(func.count()).where(application.c.call == grant_call.c.id, wanted).scalar_subquery()


_OPEN = add(grant_call)
_ROWS = select(
    grant_call.c.id, grant_call.c.name, grant_call.c.deadline, grant_call.c.awards, grant_call.c.amount, grant_call.c.ends,
    grant_call.c.created, grant_call.c.closed, _count(State.sent, State.awarded, State.declined), _count(State.awarded),
)  # fmt: skip
