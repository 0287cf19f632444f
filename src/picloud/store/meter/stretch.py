"""Stretches: the time in which reserved cores were ready, as lines of the ledger.

pay(tx, of, cores, since, until)            the cores were ready all that time
newest(tx, reservation) -> Stretch | None
amount(tx, reservation) -> int              what one has cost until now

A stretch lies within one day (UTC), so that days and months have their sums to the unit; the newest one grows, and with it the
sums of its day, in one transaction. Time is paid once, however often it is told.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, bindparam, func, select, update

from picloud.store.meter import purpose, spent
from picloud.store.meter.purpose import Purpose
from picloud.store.meter.reservation import Reservation
from picloud.store.meter.schema import reservation, stretch
from picloud.store.rows import add, constant, one, run
from picloud.wire.money import DAY

FUNCTION = "cloud.realtime"
"""Under which usage by function tells it."""


class Stretch(NamedTuple):
    """What is asked of a row."""

    begins: int
    ends: int
    cores: int


def pay(tx: Connection, of: Reservation, cores: int, since: int, until: int) -> None:
    """Bill ``cores`` of a reservation from ``since`` to ``until`` (epoch ms), less what is billed already."""
    run(tx, _LOCK, id=of.id)
    last = newest(tx, of.id)
    since = max(since, last.ends) if last is not None else since
    if since >= until:
        return
    number = purpose.ensure(tx, of.account, Purpose(FUNCTION, "", "", of.core_type))
    while since < until:
        ends = min(until, (since // DAY + 1) * DAY)
        if last is None or last.cores != cores or last.ends != since or last.begins // DAY != since // DAY:
            last = Stretch(since, since, cores)
            run(tx, _ADD, reservation=of.id, begins=since, ends=since, account=of.account, purpose=number, cores=cores,
                price=of.price, billed_ms=0, amount=0)  # fmt: skip
        last = last._replace(ends=ends)
        billed = ends - last.begins
        run(tx, _GROW, reservation_=of.id, begins_=last.begins, ends_=ends, billed_=billed, amount_=billed * cores * of.price)
        core_ms = (ends - since) * cores
        spent.hold(tx, of.account, number, of.id, since, core_ms, core_ms * of.price)
        since = ends


def newest(tx: Connection, number: int) -> Stretch | None:
    """The last one of a reservation."""
    row = one(tx, _NEWEST, reservation=number)
    return None if row is None else Stretch(*row)


def amount(tx: Connection, number: int) -> int:
    """What a reservation has cost until now."""
    row = one(tx, _AMOUNT, reservation=number)
    return int(row[0]) if row else 0


def _bound(name: str) -> Any:
    return bindparam(name, type_=BigInteger)


_LOCK = select(reservation.c.id).where(reservation.c.id == _bound("id")).with_for_update()
_NEWEST = (
    select(stretch.c.begins, stretch.c.ends, stretch.c.cores)
    .where(stretch.c.reservation == _bound("reservation"))
    .order_by(stretch.c.begins.desc())
    .limit(1)
)
_AMOUNT = select(func.coalesce(func.sum(stretch.c.amount), constant(0))).where(stretch.c.reservation == _bound("reservation"))
_ADD = add(stretch)
_GROW = (
    update(stretch)
    .where(stretch.c.reservation == _bound("reservation_"), stretch.c.begins == _bound("begins_"))
    .values(ends=_bound("ends_"), billed_ms=_bound("billed_"), amount=_bound("amount_"))
)
