"""What was spent on each day by something: a chart of the days.

read(tx, account, by, since, until, most) -> list[Line]      the dearest ones; what is beside them is one more line
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field
from sqlalchemy import BigInteger, Connection, Integer, bindparam, func, literal_column, select

from picloud.store.meter.schema import purpose, usage
from picloud.store.rows import run
from picloud.wire.error import BadRequest

BY = ("label", "type", "function", "queue")
"""What the days can be told apart by."""


class Line(Struct):
    """One line of the chart."""

    name: str  # "" = without one
    rest: bool = False  # the sum of all that have no line of their own
    amount: int = 0
    days: dict[int, tuple[int, int, int]] = field(default_factory=dict)  # day since 1970 -> attempts, core ms, amount

    def add(self, day: int, counts: tuple[int, int, int]) -> None:
        """Add to a day."""
        old = self.days.get(day, (0, 0, 0))
        self.days[day] = (old[0] + counts[0], old[1] + counts[1], old[2] + counts[2])
        self.amount += counts[2]


def read(tx: Connection, account: int, by: str, since: int, until: int, most: int) -> list[Line]:
    """The lines of an account from day ``since`` to ``until`` (days since 1970, both included), the dearest first.

    Args:
        by: one of BY.
        most: lines at most; what is beyond them is added up in one more.

    Raises:
        BadRequest: the days are not told apart by that.
    """
    if by not in BY:
        raise BadRequest(f"days of usage are not told apart by {by[:40]!r}", hint=f"one of {', '.join(BY)}")
    found: dict[str, Line] = {}
    for name, day, *counts in run(tx, _BY[by], account=account, since=since, until=until).fetchall():
        attempts, core_ms, amount = map(int, counts)
        found.setdefault(name, Line(name)).add(int(day), (attempts, core_ms, amount))
    lines = sorted(found.values(), key=lambda line: (-line.amount, line.name))
    if len(lines) <= most:
        return lines
    rest = Line("", rest=True)
    for line in lines[most:]:
        for day, sums in line.days.items():
            rest.add(day, sums)
    return [*lines[:most], rest]


def _bound(name: str, kind: Any = Integer) -> Any:
    return bindparam(name, type_=kind)


_sums = tuple(func.sum(usage.c[name]).label(name) for name in ("attempts", "core_ms", "amount"))
_of_purpose = (
    select(usage.c.purpose, usage.c.day, *_sums)
    .where(usage.c.account == _bound("account", BigInteger), usage.c.day >= _bound("since"), usage.c.day <= _bound("until"))
    .group_by(usage.c.purpose, usage.c.day)
    .subquery("of_purpose")
)
_p = _of_purpose.c


def _by(column: Any) -> Any:
    name = func.coalesce(column, literal_column("''"))
    return (
        select(name, _p.day, func.sum(_p.attempts), func.sum(_p.core_ms), func.sum(_p.amount))
        .select_from(_of_purpose.outerjoin(purpose, purpose.c.id == _p.purpose))
        .group_by(name, _p.day)
    )


_columns = {"label": purpose.c.label, "type": purpose.c.core_type, "function": purpose.c.function, "queue": purpose.c.queue}
_BY = {name: _by(column) for name, column in _columns.items()}
