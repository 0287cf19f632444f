"""Crons: stored calls with a clock. Whoever submits the job of a time moves the clock on in the same transaction.

register(tx, account, asked, host, env, now) -> missing
remove(tx, account, label)                                NotFound
every(tx, account) / find(tx, account, label) -> Cron     NotFound
statuses(tx, account) -> {jid: status}                     of the last job of each
next_due(tx) -> epoch ms | None                           the next time of all crons
due(tx, now) -> [(account, call)]                         those whose time has come
tick(tx, calls, now) -> Ticked                            their jobs
spoil(tx, call, trouble, now)                             one that cannot be submitted: the next time it may
by_hand(tx, account, label, token, now) -> (jid, ready)   NotFound
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, bindparam, delete, select, update

from picloud.store.call import call as calls
from picloud.store.call import past, stored
from picloud.store.call.call import Call, as_call
from picloud.store.call.schema import call, cron
from picloud.store.rows import Listed, add, as_list, constant, one, run
from picloud.store.schema import account as owner
from picloud.store.schema import job
from picloud.wire.call import NOTHING, Clock, Missed, Overlap, Register, Sort, Why
from picloud.wire.job import FIRST_FINAL
from picloud.wire.message import Arguments
from picloud.wire.schedule import Schedule, parse

LATE_MS = 60_000
"""A time that is found later than this counts as missed."""
NEVER = 1 << 52
"""Epoch ms that do not come: of a schedule without a further time."""
AT_ONCE = 100
"""Crons of one transaction."""
_NO_ARGUMENTS = Arguments([len(NOTHING)], NOTHING, [""])


class Cron(NamedTuple):
    """A cron with the call that it makes."""

    clock: Clock
    due: int
    last_run: int | None
    last_jid: int | None
    call: Call


class Ticked(NamedTuple):
    """What came of some times."""

    jids: list[int]
    ready: set[int]  # kinds


def schedule(clock: Clock) -> Schedule:
    """A clock's schedule; it was understood when it was stored."""
    return parse(clock.schedule, clock.timezone, day_or=clock.day_or)


def register(tx: Connection, account: int, asked: Register, host: str, env: str | None, now: int) -> list[str]:
    """Keep a cron; one of the same label is replaced, its history stays.

    Args:
        asked: with a clock that can be understood.
        host, env: as for :func:`stored.keep`.

    Returns:
        Digests of code that is missing: then nothing was kept.
    """
    number, missing = calls.put(tx, account, Sort.cron, asked, host, env, now)
    if missing or asked.clock is None:
        return missing
    clock = asked.clock
    values = {
        "schedule": clock.schedule, "timezone": clock.timezone, "day_or": int(clock.day_or), "missed": clock.missed,
        "overlap": clock.overlap, "due": _following(clock, now),
    }  # fmt: skip
    tx.execute(add(cron), {"call": number, **values})
    tx.execute(update(cron).where(cron.c.call == number).values(values))
    return []


def remove(tx: Connection, account: int, label: str) -> None:
    """Forget a cron and its history.

    Raises:
        NotFound: there is none of that label.
    """
    number = calls.remove(tx, account, Sort.cron, label)
    run(tx, _REMOVE, call_=number)
    past.forget(tx, number)


def every(tx: Connection, account: int) -> list[Cron]:
    """All crons of an account, by label."""
    return [_cron(row) for row in run(tx, _EVERY, account=account).fetchall()]


def find(tx: Connection, account: int, label: str) -> Cron:
    """One cron.

    Raises:
        NotFound: there is none of that label.
    """
    row = one(tx, _OF, call=calls.find(tx, account, Sort.cron, label).id)
    return _cron(row)


def statuses(tx: Connection, account: int) -> dict[int, int]:
    """The last job of each cron of an account, with its status; jobs that were cleaned away are left out."""
    return {int(jid): int(status) for jid, status in run(tx, _STATUSES, account=account).fetchall()}


def next_due(tx: Connection) -> int | None:
    """The next time of all crons whose account is not switched off; None where there is none."""
    found = one(tx, _NEXT)
    return None if found is None or found[0] >= NEVER else int(found[0])


def due(tx: Connection, now: int) -> list[tuple[int, int]]:
    """Some of those whose time has come, the longest ago first: account and call."""
    return [(int(account), int(number)) for account, number in run(tx, _DUE, now=now, limit=AT_ONCE).fetchall()]


def tick(tx: Connection, numbers: list[int], now: int) -> Ticked:
    """Submit the jobs of these crons whose time has come, and move their clocks on.

    Raises:
        CloudException: one of them cannot be submitted; then nothing has changed.
    """
    made = Ticked([], set())
    for row in run(tx, _LOCK, calls=as_list(numbers), now=now).fetchall():
        one_ = _cron(row)
        at, why, following = _time(one_, now)
        if why in (Why.time, Why.missed) and one_.clock.overlap == Overlap.skip and _runs(tx, one_.last_jid):
            why = Why.overlap
        jid = _submit(tx, one_, os.urandom(16), made, now) if why in (Why.time, Why.missed) else 0
        past.add(tx, one_.call.id, at, why, jid, now)
        run(tx, _MOVE, call_=one_.call.id, due_=following)
        if jid:
            run(tx, _RAN, call_=one_.call.id, at_=at, jid_=jid)
    return made


def spoil(tx: Connection, number: int, trouble: str, now: int) -> None:
    """Write down why a cron could not be submitted, and move its clock on."""
    for row in run(tx, _LOCK, calls=as_list([number]), now=now).fetchall():
        found = _cron(row)
        past.add(tx, number, found.due, Why.failed, 0, now, trouble)
        run(tx, _MOVE, call_=number, due_=_following(found.clock, now))


def by_hand(tx: Connection, account: int, label: str, token: bytes, now: int) -> Ticked:
    """Submit a cron's job now, whatever its clock says.

    Args:
        token: 16 bytes; the same once more makes no second job.

    Raises:
        NotFound: there is none of that label, or what it needs is gone.
    """
    found, made = find(tx, account, label), Ticked([], set())
    jid = _submit(tx, found, token, made, now)
    past.add(tx, found.call.id, now, Why.hand, jid, now)
    run(tx, _RAN, call_=found.call.id, at_=now, jid_=jid)
    return made


def _submit(tx: Connection, found: Cron, token: bytes, made: Ticked, now: int) -> int:
    kept = found.call
    answer, ready = stored.again(tx, kept.account, kept.submit, kept.host, kept.env, _NO_ARGUMENTS, token, now)
    made.jids.append(answer.first)
    made.ready.update(ready)
    return answer.first


def _time(found: Cron, now: int) -> tuple[int, Why, int]:
    """Which time it is that has come, whether it is missed, and the time after it."""
    if found.due >= now - LATE_MS:
        return found.due, Why.time, _following(found.clock, found.due)
    if found.clock.missed == Missed.once:
        return found.due, Why.missed, _following(found.clock, now)
    return found.due, Why.downtime, _following(found.clock, now - LATE_MS)


def _following(clock: Clock, at: int) -> int:
    try:
        found = schedule(clock).after(at)
    except ValueError:  # its time zone has left this machine's database since: it rests, and holds up nobody
        return NEVER
    return NEVER if found is None else found


def _runs(tx: Connection, jid: int | None) -> bool:
    found = one(tx, _STATUS, jid=jid) if jid is not None else None
    return found is not None and found[0] < FIRST_FINAL


def _cron(row: Any) -> Cron:
    text, zone, day_or, missed, overlap, when, last_run, last_jid, *rest = row
    return Cron(Clock(text, zone, bool(day_or), missed, overlap), when, last_run, last_jid, as_call(rest))


_numbers = Listed("calls")
_now = bindparam("now", type_=BigInteger)
_CLOCK = tuple(cron.c[name] for name in ("schedule", "timezone", "day_or", "missed", "overlap", "due", "last_run", "last_jid"))
_whole = select(*_CLOCK, *calls.COLUMNS).join_from(cron, call, call.c.id == cron.c.call)
_EVERY = _whole.where(call.c.account == bindparam("account", type_=BigInteger)).order_by(call.c.label)
_STATUSES = (
    select(job.c.jid, job.c.status)
    .join_from(cron, call, call.c.id == cron.c.call)
    .join(job, job.c.jid == cron.c.last_jid)
    .where(call.c.account == bindparam("account", type_=BigInteger))
)
_OF = _whole.where(cron.c.call == bindparam("call", type_=BigInteger))
_running = cron.join(call, call.c.id == cron.c.call).join(owner, owner.c.id == call.c.account)
_on = owner.c.active == constant(1)
_NEXT = select(cron.c.due).select_from(_running).where(_on).order_by(cron.c.due).limit(1)
_DUE = (
    select(call.c.account, cron.c.call)
    .select_from(_running)
    .where(cron.c.due <= _now, _on)
    .order_by(cron.c.due, cron.c.call)
    .limit(bindparam("limit", type_=BigInteger))
)
_LOCK = (
    _whole.where(cron.c.call.in_(_numbers.chosen()), cron.c.due <= _now)
    .order_by(cron.c.due, cron.c.call)
    .with_for_update(of=cron, skip_locked=True)
)
_this = cron.c.call == bindparam("call_", type_=BigInteger)
_MOVE = update(cron).where(_this).values(due=bindparam("due_", type_=BigInteger))
_RAN = update(cron).where(_this).values(last_run=bindparam("at_", type_=BigInteger), last_jid=bindparam("jid_", type_=BigInteger))
_REMOVE = delete(cron).where(_this)
_STATUS = select(job.c.status).where(job.c.jid == bindparam("jid", type_=BigInteger))
