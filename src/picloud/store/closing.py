"""Reserved jids that end unsent, too many to give each its row at once.

Ten million rows take half a minute, and nobody else can write meanwhile. So a long range is *closed* by one small row, and
its jobs get theirs bite by bite (the janitor's chore); until then they are what that row says.

    begin(tx, submission, first, count, cause)      close a range
    covering(tx, account) -> list[Closing]          what still lacks rows
    any_left(tx) -> bool
    next_bite(tx, among, limit) -> Bite | None      to be given rows in this transaction; see act.close

The small rows are progress counters: ``counter.name`` tells submission and end of the range, ``counter.value`` the first jid
without a row, and the cause.
"""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import BigInteger, Connection, bindparam, delete, literal_column, select, update

from picloud.store.rows import Listed, add, as_list, run
from picloud.store.schema import counter, submission
from picloud.wire.job import Cause, Status
from picloud.wire.message import Ranges

AT_ONCE = 10_000
"""Jobs that get their rows in one act: tens of milliseconds."""
CAUSES = 16
"""More than there are; a counter's value is the jid times this, and the cause."""


class Closing(Struct, frozen=True):
    """What is left of one closed range."""

    name: str  # of its counter
    submission: int
    first: int
    end: int  # exclusive
    cause: Cause

    @property
    def status(self) -> Status:
        return Status.stalled if self.cause == Cause.dependency else Status.killed

    def overlaps(self, ranges: Ranges) -> bool:
        return any(first < self.end and self.first < first + count for first, count in ranges)


class Bite(Struct, frozen=True):
    """Jids of one range that get their rows now."""

    of: Closing
    count: int
    more: bool  # another bite is left, of this range or of another one


def begin(tx: Connection, submission_id: int, first: int, count: int, cause: Cause) -> None:
    """Close the ``count`` jids from ``first`` on. A repeat changes nothing, with another cause neither."""
    run(tx, _BEGIN, name=f"closing {submission_id} {first + count}", value=first * CAUSES + int(cause))


def covering(tx: Connection, account: int, *, lock: bool = False) -> list[Closing]:
    """The closed ranges of an account that lack rows, by jid.

    Args:
        lock: keep them so until the transaction ends.
    """
    found = [_read(name, value) for name, value in run(tx, _SHARED if lock else _EVERY)]
    if not found:
        return []
    ids = as_list(sorted({one.submission for one in found}))
    mine = {row[0] for row in run(tx, _MINE, account=account, ids=ids)}
    return sorted((one for one in found if one.submission in mine), key=lambda one: one.first)


def any_left(tx: Connection) -> bool:
    """Whether a closed range, of whatever account, lacks rows."""
    return bool(run(tx, _EVERY).fetchone())


def next_bite(tx: Connection, among: Ranges | None = None, limit: int = AT_ONCE) -> Bite | None:
    """Take a bite off the first closed range, or off the first that overlaps ``among``; None where there is none."""
    found = [_read(name, value) for name, value in run(tx, _LOCKED)]
    if among is not None:
        found = [one for one in found if one.overlaps(among)]
    if not found:
        return None
    one = min(found, key=lambda each: each.first)
    count = min(limit, one.end - one.first)
    whole = one.first + count == one.end
    if whole:
        run(tx, _DONE, name_=one.name)
    else:
        run(tx, _ON, name_=one.name, value_=(one.first + count) * CAUSES + int(one.cause))
    return Bite(one, count, len(found) > 1 or not whole)


def _read(name: str, value: int) -> Closing:
    _, owner, end = name.split()
    return Closing(name, int(owner), value // CAUSES, int(end), Cause(value % CAUSES))


_BEGIN = add(counter)
_EVERY = select(counter.c.name, counter.c.value).where(counter.c.name.like(literal_column("'closing %'")))
_SHARED, _LOCKED = (_EVERY.order_by(counter.c.name).with_for_update(read=read) for read in (True, False))
_ids = Listed("ids")
_MINE = select(submission.c.id).where(
    submission.c.account == bindparam("account", type_=BigInteger), submission.c.id.in_(_ids.chosen())
)
_name = counter.c.name == bindparam("name_")
_DONE = delete(counter).where(_name)
_ON = update(counter).where(_name).values(value=bindparam("value_", type_=BigInteger))
