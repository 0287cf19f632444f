"""What was spent on each day, told apart by something: for charts."""

from __future__ import annotations

from typing import Annotated, TypedDict

import msgspec
from msgspec import Meta

from picloud.server.api.usage import shown_day
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.server.storage import now_ms
from picloud.store.meter import daily
from picloud.wire.money import DAY, HOUR, dollars

LONGEST = 400
"""Days."""
MOST = 50


class Chart(msgspec.Struct):
    days: Annotated[int, Meta(ge=1, le=LONGEST)] = 30  # up to today, in UTC
    by: str = "label"  # label, type, function, queue
    most: Annotated[int, Meta(ge=1, le=MOST)] = 8  # lines; the rest is one more


class LineShown(TypedDict):
    """What of it fell on each day."""

    name: str  # "" = without one
    rest: bool  # the sum of all that have no line of their own
    amount: int  # of all days, as in wire.money
    dollars: list[float]
    core_hours: list[float]
    attempts: list[int]


class Charted(TypedDict):
    by: str
    days: list[str]  # 2026-01-31, the oldest first
    lines: list[LineShown]  # the dearest first


@operation(query=Chart, answer=Charted, named="usage.day")
async def usage(control: Control, request: Request) -> None:
    """GET /v1/usage/day?days=&by=label|type|function|queue&most=: what was used on each of the last days, told apart by that"""
    asked = request.asked(Chart)
    until = now_ms() // DAY
    since = until - asked.days + 1
    found = await control.storage.read(daily.read, request.principal.account, asked.by, since, until, asked.most)
    days = range(since, until + 1)
    await request.json({"by": asked.by, "days": [shown_day(day) for day in days], "lines": [_line(one, days) for one in found]})


def _line(one: daily.Line, days: range) -> LineShown:
    rows = [one.days.get(day, (0, 0, 0)) for day in days]
    return {
        "name": one.name, "rest": one.rest, "amount": one.amount, "dollars": [dollars(amount) for _, _, amount in rows],
        "core_hours": [core_ms / HOUR for _, core_ms, _ in rows], "attempts": [attempts for attempts, _, _ in rows],
    }  # fmt: skip
