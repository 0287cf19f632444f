"""How many jobs of an account came and ended in each stretch of time, from their rows.

read(tx, account, since, until, step) -> list[(begin, submitted, done, failed)]
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Connection, bindparam, case, func, select

from picloud.store.rows import constant, run
from picloud.store.schema import job
from picloud.wire.job import FIRST_FINAL


def read(tx: Connection, account: int, since: int, until: int, step: int) -> list[tuple[int, int, int, int]]:
    """Counts of the stretches of ``step`` ms in which something happened, from ``since`` to before ``until`` (epoch ms)."""
    found: dict[int, list[int]] = {}
    place = {"account": account, "since": since, "until": until, "step": step}
    for at, count in run(tx, _CAME, **place).fetchall():
        found.setdefault(int(at), [0, 0, 0])[0] = int(count)
    for at, done, failed in run(tx, _ENDED, **place).fetchall():
        found.setdefault(int(at), [0, 0, 0])[1:] = int(done), int(failed)
    return [(at, *counts) for at, counts in sorted(found.items())]  # type: ignore[misc]


def _bound(name: str) -> Any:
    return bindparam(name, type_=BigInteger)


def _stretch(column: Any) -> Any:
    return (column - column % _bound("step")).label("at")


_mine = job.c.account == _bound("account")
_came = select(_stretch(job.c.created)).where(_mine, job.c.created >= _bound("since"), job.c.created < _bound("until")).subquery()
_CAME = select(_came.c.at, func.count()).group_by(_came.c.at)
_end = (
    select(_stretch(job.c.finished), job.c.status)
    .where(_mine, job.c.status >= constant(int(FIRST_FINAL)), job.c.finished >= _bound("since"), job.c.finished < _bound("until"))
    .subquery()
)
_good = case((_end.c.status == constant(int(FIRST_FINAL)), constant(1)), else_=constant(0))
_ENDED = select(_end.c.at, func.sum(_good), func.sum(constant(1) - _good)).group_by(_end.c.at)
