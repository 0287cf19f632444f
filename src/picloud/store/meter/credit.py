"""What an account may spend: the free hours of each month, grants, and its limits; rows of one kind.

standing(tx, account, now, free, earlier=None) -> Standing
grant(tx, account, given, now) -> int                   a repeat with its token gives nothing more
limit(tx, account, kind, amount | None, author, now)    None takes the limit away
open_month(tx, account, now, free)                      writes the month's free hours down
running(tx, account) -> list[int]                       jobs whose user code runs

The free hours of a month pay first, then grants, the one that ends soonest first. A grant pays what is spent from the
day (UTC) on which it was given to the day on which it ends. What nothing pays for, because work that ran went on, is told as
``beyond``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, Integer, SmallInteger, Text, bindparam, insert, select, update

from picloud.store.meter import spent
from picloud.store.meter.schema import credit
from picloud.store.rows import add, constant, gathered, listing, one, run
from picloud.store.schema import job, lease
from picloud.wire.error import BadRequest
from picloud.wire.job import Status
from picloud.wire.money import DAY, MOST

LONGEST_REASON = 1000


class Kind(IntEnum):
    """What a row of the table is."""

    free = 0  # of one month
    grant = 1
    soft = 2  # what an account may spend in a month before it is warned
    hard = 3  # and before new work waits


class Given(NamedTuple):
    """A grant to be made."""

    amount: int
    reason: str
    author: str
    ends: int | None = None  # epoch ms; None = never
    token: str = ""


class Grant(NamedTuple):
    """A grant as it stands."""

    id: int
    amount: int
    left: int
    reason: str
    author: str
    begins: int
    ends: int | None  # epoch ms


class Standing(NamedTuple):
    """The money of an account at one moment. Amounts are those of :mod:`picloud.wire.money`."""

    month: int  # epoch ms at which it began
    spent: int  # in it
    free: int
    free_left: int
    grants: list[Grant]  # all that were given, the oldest first
    left: int  # of free hours and of grants that hold now
    beyond: int  # spent this month and paid by nothing
    soft: int | None
    hard: int | None

    @property
    def stops(self) -> str:
        """Why no further work may begin, in words; "" = it may."""
        if self.hard is not None and self.spent >= self.hard:
            return "the spending limit of this month is reached"
        return "no credit is left" if self.left <= 0 else ""

    @property
    def warns(self) -> bool:
        """Whether the soft limit is reached."""
        return self.soft is not None and self.spent >= self.soft


def month_of(now: int) -> int:
    """The begin (epoch ms) of the month in UTC in which ``now`` (epoch ms) lies."""
    at = datetime.fromtimestamp(now / 1000, UTC)
    return int(datetime(at.year, at.month, 1, tzinfo=UTC).timestamp()) * 1000


def standing(tx: Connection, account: int, now: int, free: int, earlier: dict[int, int] | None = None) -> Standing:
    """How an account stands.

    Args:
        now: epoch ms.
        free: amount that every account gets each month, where the row of a month was not written yet.
        earlier: what was spent on each day before this month, where that is known.
    """
    rows = [row for row in run(tx, _ROWS, account=account).fetchall() if row[3] <= now or row[1] == Kind.free]
    frees = {row[3]: row[2] for row in rows if row[1] == Kind.free}
    grants = [row for row in rows if row[1] == Kind.grant]
    month = month_of(now)
    since = min([month, *(month_of(row[3]) for row in grants)]) if earlier is None else month
    pays = _Payer(free, frees, grants)
    for day, amount in sorted({**(earlier or {}), **spent.days(tx, account, since // DAY)}.items()):
        pays.day(day, amount)
    made = [Grant(row[0], row[2], pays.left[row[0]], row[5], row[6], row[3], row[4]) for row in grants]
    free_now = frees.get(month, free)
    free_left = pays.free_left(month)
    held = sum(grant.left for grant in made if grant.ends is None or grant.ends > now)
    limits = {kind: next((row[2] for row in reversed(rows) if row[1] == kind and row[4] is None), None)
              for kind in (Kind.soft, Kind.hard)}  # fmt: skip
    return Standing(month, pays.spent.get(month, 0), free_now, free_left, made, free_left + held, pays.beyond.get(month, 0),
                    limits[Kind.soft], limits[Kind.hard])  # fmt: skip


class _Payer:
    """Pays day by day."""

    def __init__(self, free: int, frees: dict[int, int], grants: list[Any]) -> None:
        self._free, self._frees = free, frees
        self._grants = sorted(grants, key=lambda row: (row[4] is None, row[4] or 0, row[0]))
        self.left = {row[0]: int(row[2]) for row in grants}
        self.spent: dict[int, int] = {}  # by month
        self.beyond: dict[int, int] = {}

    def free_left(self, month: int) -> int:
        """What is left of a month's free hours."""
        return max(0, self._frees.get(month, self._free) - self.spent.get(month, 0))

    def day(self, day: int, amount: int) -> None:
        """Pay for a day; they come in order."""
        month = month_of(day * DAY)
        rest = max(0, amount - self.free_left(month))
        self.spent[month] = self.spent.get(month, 0) + amount
        for row in self._grants:
            if row[3] // DAY <= day and (row[4] is None or day * DAY < row[4]):
                paid = min(rest, self.left[row[0]])
                self.left[row[0]] -= paid
                rest -= paid
        self.beyond[month] = self.beyond.get(month, 0) + rest


def grant(tx: Connection, account: int, given: Given, now: int) -> int:
    """Give an account something to spend; the grant's number.

    Raises:
        BadRequest: no amount, or it ends before it begins.
    """
    if not 0 < given.amount <= MOST:
        raise BadRequest("a grant is more than nothing and at most a million dollars", found=given.amount)
    if given.ends is not None and given.ends <= now:
        raise BadRequest("the grant would have expired already", hint="give a later day, or none")
    if len(given.reason) > LONGEST_REASON or "\0" in given.reason:
        raise BadRequest(f"a reason has at most {LONGEST_REASON} characters and no NUL")
    values = given._asdict() | {"account": account, "kind": int(Kind.grant), "begins": now}
    tx.execute(add(credit), values)
    where = {"account": account, "kind": int(Kind.grant), "token": given.token}
    return int(one(tx, _BY_TOKEN if given.token else _NEWEST, **where)[0])


def limit(tx: Connection, account: int, kind: Kind, amount: int | None, author: str, now: int) -> None:
    """Set or take away a limit for each month from now on.

    Raises:
        BadRequest: it is below nothing.
    """
    if amount is not None and not 0 <= amount <= MOST:
        raise BadRequest("a limit is from nothing to a million dollars", found=amount)
    run(tx, _END, account=account, kind_=int(kind), now=now)
    if amount is not None:
        tx.execute(insert(credit), {"account": account, "kind": int(kind), "amount": amount, "begins": now, "author": author})


def open_month(tx: Connection, account: int, now: int, free: int) -> None:
    """Write down what the month's free hours are worth, so that a later change of settings does not change what was given."""
    values = {"account": account, "kind": int(Kind.free), "amount": free, "begins": month_of(now), "reason": "free hours"}
    tx.execute(add(credit), values)


def running(tx: Connection, account: int) -> list[int]:
    """Jobs of the account that are known to run."""
    found: list[int] = listing(tx, _RUNNING, account=account)
    return found


_account = bindparam("account", type_=BigInteger)
_kind = bindparam("kind", type_=SmallInteger)
_ROWS = (
    select(credit.c.id, credit.c.kind, credit.c.amount, credit.c.begins, credit.c.ends, credit.c.reason, credit.c.author)
    .where(credit.c.account == _account)
    .order_by(credit.c.id)
)
_BY_TOKEN = select(credit.c.id).where(
    credit.c.account == _account, credit.c.kind == _kind, credit.c.token == bindparam("token", type_=Text)
)
_NEWEST = (
    select(credit.c.id)
    .where(credit.c.account == _account, credit.c.kind == _kind, credit.c.token == bindparam("token", type_=Text))
    .order_by(credit.c.id.desc())
    .limit(1)
)
_END = (
    update(credit)
    .where(credit.c.account == _account, credit.c.kind == bindparam("kind_", type_=Integer), credit.c.ends.is_(None))
    .values(ends=bindparam("now", type_=BigInteger))
)
_RUNNING = select(
    gathered(
        select(lease.c.jid)
        .join_from(lease, job, job.c.jid == lease.c.jid)
        .where(job.c.account == _account, job.c.status == constant(int(Status.processing)))
        .order_by(lease.c.jid)
        .subquery()
        .c.jid
    )
)
