"""What was spent: the sums of each day, beside the lines of the ledger.

book(tx, account, jids, now)                the attempts that just ended, before their leases go
hold(tx, account, purpose, part, at, core_ms, amount)   time in which cores were kept ready
days(tx, account, since) -> {day: amount}
sums(tx, account, by, since, until, limit) -> Page
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, Insert, Integer, bindparam, func, literal_column, select
from sqlalchemy.ext.compiler import compiles

from picloud.store.meter.schema import PARTS, purpose, usage
from picloud.store.rows import Listed, as_list, constant, one, run
from picloud.store.schema import attempt, lease
from picloud.wire.error import BadRequest
from picloud.wire.money import DAY

COUNTED = ("attempts", "core_ms", "amount")
BY = ("day", "label", "function", "type", "queue", "job")
"""What usage can be summed by."""
LATEST = (1 << 31) - 1
"""A day that does not come."""


class Sum(NamedTuple):
    """One row of the usage."""

    key: int | str  # the day's number since 1970, a name, or a jid
    attempts: int
    core_ms: int
    amount: int
    about: str = ""  # of a job: its function


class Page(NamedTuple):
    """A part of the rows, and what all of them come to."""

    rows: list[Sum]
    total: Sum


class _add(Insert):
    """INSERT that adds to the row which is there already."""

    inherit_cache = True
    _inline = True


@compiles(_add)
def _compiled(element: Any, compiler: Any, **kw: Any) -> str:
    sums = ", ".join(f"{name} = usage.{name} + excluded.{name}" for name in COUNTED)
    return f"{compiler.visit_insert(element, **kw)} ON CONFLICT (account, day, purpose, part) DO UPDATE SET {sums}"


def book(tx: Connection, account: int, jids: Iterable[int], now: int) -> None:
    """Add the lines of attempts whose leases are still there to the sums of the day."""
    run(tx, _BOOK, jids=as_list(jids), account_=account, day_=now // DAY)


def hold(tx: Connection, account: int, purpose: int, part: int, at: int, core_ms: int, amount: int) -> None:
    """Add what cores that were kept ready have cost to the sums of the day of ``at`` (epoch ms); that is no attempt."""
    run(tx, _HOLD, account=account, day=at // DAY, purpose=purpose, part=part % PARTS, attempts=0, core_ms=core_ms, amount=amount)


def days(tx: Connection, account: int, since: int) -> dict[int, int]:
    """What was spent on each day from ``since`` on (days since 1970), those without work left out."""
    return {int(day): int(amount) for day, amount in run(tx, _DAYS, account=account, since=since).fetchall()}


def sums(tx: Connection, account: int, by: str, since: int = 0, until: int = LATEST, limit: int = 1000) -> Page:
    """What was used, by something.

    Args:
        by: one of BY.
        since, until: first and last day, in days since 1970.
        limit: rows at most: days and jobs the newest ones, else the dearest.

    Raises:
        BadRequest: it cannot be summed by that.
    """
    if by not in BY:
        raise BadRequest(f"usage is not summed by {by[:40]!r}", hint=f"one of {', '.join(BY)}")
    place = {"account": account, "since": since, "until": until}
    attempts, core_ms, amount = map(int, one(tx, _TOTAL, **place))
    if by == "job":
        limit = min(limit, attempts)  # there are no more: nobody walks on through the lines of others for them
        place |= {"since": since * DAY, "until": (until + 1) * DAY}
    rows = run(tx, _SUMS[by], **place, limit=limit).fetchall()
    return Page(
        [Sum(row[0], int(row[1]), int(row[2]), int(row[3]), *row[4:]) for row in rows], Sum("", attempts, core_ms, amount)
    )


def _bound(name: str) -> Any:
    return bindparam(name, type_=BigInteger)


_jids = Listed("jids")
_part = lease.c.worker % constant(PARTS)
_lines = attempt.join(lease, (attempt.c.jid == lease.c.jid) & (attempt.c.n == lease.c.n))
_BOOK = _add(usage).from_select(
    ["account", "day", "purpose", "part", *COUNTED],
    select(_bound("account_"), bindparam("day_", type_=Integer), attempt.c.purpose, _part, func.count(),
           func.sum(attempt.c.billed_ms * attempt.c.cores), func.sum(attempt.c.amount))
    .select_from(_lines)
    .where(lease.c.jid.in_(_jids.chosen()))
    .group_by(attempt.c.purpose, _part)
    .order_by(attempt.c.purpose),
)  # fmt: skip
_HOLD = _add(usage)
_counted = tuple(func.coalesce(func.sum(usage.c[name]), constant(0)).label(name) for name in COUNTED)
_amount = _counted[-1]
_mine = (usage.c.account == _bound("account"), usage.c.day >= bindparam("since", type_=Integer))
_within = (*_mine, usage.c.day <= bindparam("until", type_=Integer))
_DAYS = select(usage.c.day, func.sum(usage.c.amount)).where(*_mine).group_by(usage.c.day)
_TOTAL = select(*_counted).where(*_within)
_limit = _bound("limit")
_named = {"label": purpose.c.label, "function": purpose.c.function, "type": purpose.c.core_type, "queue": purpose.c.queue}
_of_purpose = select(usage.c.purpose, *_counted).where(*_within).group_by(usage.c.purpose).subquery("of_purpose")
_of_purpose_counted = tuple(func.sum(_of_purpose.c[name]) for name in COUNTED)


def _by_name(column: Any) -> Any:
    """Sums of the purposes of one name; what has none is "" (handlers apart, most jobs have no queue)."""
    name = func.coalesce(column, literal_column("''"))
    return (
        select(name, *_of_purpose_counted)
        .select_from(_of_purpose.outerjoin(purpose, purpose.c.id == _of_purpose.c.purpose))
        .group_by(name)
        .order_by(_of_purpose_counted[-1].desc(), name)
        .limit(_limit)
    )


_ended = (attempt.c.ended >= _bound("since"), attempt.c.ended < _bound("until"))
_newest = (
    select(attempt.c.jid, func.count(), func.sum(attempt.c.billed_ms * attempt.c.cores), func.sum(attempt.c.amount),
           func.min(attempt.c.purpose).label("purpose"))
    .where(attempt.c.account == _bound("account"), *_ended)
    .group_by(attempt.c.jid)
    .order_by(attempt.c.jid.desc())
    .limit(_limit)
    .subquery("newest")
)  # fmt: skip
_by_job = (
    select(*list(_newest.c)[:4], func.coalesce(purpose.c.function, literal_column("''")))
    .select_from(_newest.outerjoin(purpose, purpose.c.id == _newest.c.purpose))
    .order_by(_newest.c.jid.desc())
)
_by_day = select(usage.c.day, *_counted).where(*_within).group_by(usage.c.day).order_by(usage.c.day.desc()).limit(_limit)
_SUMS = {"day": _by_day, "job": _by_job, **{name: _by_name(column) for name, column in _named.items()}}
