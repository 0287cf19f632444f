"""What runs of a function took before, for an estimate of the next ones.

measured(tx, account, function, core_type) -> Measured | None
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, Text, bindparam, func, select

from picloud.store.rows import constant, gathered, listing
from picloud.store.schema import attempt, kind, submission

LOOKED_AT = 1000
"""Runs, the newest ones."""
SUBMISSIONS = 100


class Measured(NamedTuple):
    """Billed milliseconds of runs that ended well."""

    runs: int
    core_type: str
    mean: int
    low: int  # nine of ten took at least so long
    high: int  # and nine of ten no longer


def measured(tx: Connection, account: int, function: str, core_type: str) -> Measured | None:
    """The newest runs of a function on a core type, or where there are none, on the type on which it ran last; None: nowhere.

    Args:
        function: its name, as jobs are listed under.
    """
    found: list[tuple[str, int]] = listing(tx, _RUNS, account=account, name=function, limit=LOOKED_AT, submissions=SUBMISSIONS)
    if not found:
        return None
    type_ = core_type if any(one == core_type for one, _ in found) else found[0][0]
    took = sorted(ms for one, ms in found if one == type_)
    tenth = len(took) // 10
    return Measured(len(took), type_, -(-sum(took) // len(took)), took[tenth], took[-1 - tenth])


_of_name = (
    select(submission.c.first, func.coalesce(submission.c.count, submission.c.head).label("count"), kind.c.core_type)
    .join_from(submission, kind, kind.c.id == submission.c.kind)
    .where(submission.c.account == bindparam("account", type_=BigInteger), submission.c.name == bindparam("name", type_=Text))
    .order_by(submission.c.id.desc())
    .limit(bindparam("submissions", type_=BigInteger))
    .subquery("of_name")
)
_runs = (
    select(_of_name.c.core_type, attempt.c.billed_ms)
    .join_from(_of_name, attempt, (attempt.c.jid >= _of_name.c.first) & (attempt.c.jid < _of_name.c.first + _of_name.c.count))
    .where(attempt.c.cause == constant(0))
    .order_by(_of_name.c.first.desc(), attempt.c.jid.desc())
    .limit(bindparam("limit", type_=BigInteger))
    .subquery("runs")
)
_RUNS = select(gathered(_runs.c.core_type, _runs.c.billed_ms))
