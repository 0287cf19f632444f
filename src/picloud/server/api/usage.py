"""What was used and what it cost, credit, grants and limits. JSON; amounts are exact integers beside dollars."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, NotRequired, TypedDict, TypeVar

import msgspec
from msgspec import Meta

from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.server.storage import now_ms
from picloud.store import account as accounts
from picloud.store.meter import credit, runs, spent
from picloud.store.meter.credit import Given, Kind, Standing
from picloud.wire.error import BadRequest, Conflict, Forbidden, NotFound
from picloud.wire.money import DAY, HOUR, MOST, dollars

T = TypeVar("T")
PAGE = 1000
LONGEST_PAGE = 100_000
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_EPOCH = date(1970, 1, 1)


class Granted(msgspec.Struct):
    """The body of a grant."""

    account: str
    amount: int
    reason: str = ""
    expires: int | None = None  # epoch ms
    token: str = ""


class Limited(msgspec.Struct):
    """The body of a change of limits; what is not named stays, null takes a limit away."""

    account: str
    soft: int | None | msgspec.UnsetType = msgspec.UNSET
    hard: int | None | msgspec.UnsetType = msgspec.UNSET


class Account(msgspec.Struct):
    """Whose; another than one's own for the owner of the installation."""

    account: str | None = None


class Summed(Account):
    by: str = "day"
    since: str | None = None
    until: str | None = None
    limit: Annotated[int, Meta(ge=1, le=LONGEST_PAGE)] = PAGE


class Planned(msgspec.Struct):
    function: str = ""
    type: str = ""
    cores: Annotated[int, Meta(ge=0, lt=10**6)] = 1
    count: Annotated[int, Meta(ge=0, lt=10**12)] = 1


class Counts(TypedDict):
    attempts: int
    core_hours: float
    core_ms: int
    dollars: float
    amount: int  # of wire.money


class Usage(TypedDict):
    by: str
    rows: list[dict[str, Any]]  # Counts with what they are of
    total: Counts


class Money(TypedDict):
    """What there is to spend; amounts are those of wire.money."""

    month: str
    spent: int
    free: int
    free_left: int
    left: int
    beyond: int
    soft: int | None
    hard: int | None
    dollars: dict[str, float | None]
    grants: list[dict[str, Any]]
    warns: bool
    would_stop: str
    stops: bool
    stopped: str


class Made(TypedDict):
    grant: int


class Measured(TypedDict):
    runs: int
    type: str
    mean: float  # seconds
    low: float
    high: float


class Estimate(TypedDict):
    function: str
    type: str
    cores: int
    count: int
    price: int
    measured: Measured | None
    amount: NotRequired[int]
    low: NotRequired[int]
    high: NotRequired[int]
    dollars: float | None
    core_hours: float | None
    left: int
    dollars_left: float


@operation(query=Summed, answer=Usage, raises=(NotFound,))
async def usage(control: Control, request: Request) -> None:
    """GET /v1/usage?by=day|label|function|type|queue|job&since=2026-01-31&until=&limit=&account=: what was used, summed"""
    query = request.asked(Summed)
    by, since, until = query.by, _day("since", query.since, 0), _day("until", query.until, spent.LATEST)
    account = await _whose(control, request, query.account)
    found = await control.storage.read(spent.sums, account, by, since, until, query.limit)
    rows = [{by: shown_day(one.key) if by == "day" else one.key, **_counts(one),
             **({"function": one.about} if by == "job" else {})} for one in found.rows]  # fmt: skip
    await request.json({"by": by, "rows": rows, "total": _counts(found.total)})


def _counts(one: spent.Sum) -> Counts:
    return {"attempts": one.attempts, "core_hours": one.core_ms / HOUR, "core_ms": one.core_ms, "dollars": dollars(one.amount),
            "amount": one.amount}  # fmt: skip


def shown_day(day: int | str) -> str:
    """A day (since 1970) as 2026-01-31."""
    return datetime.fromtimestamp(int(day) * DAY / 1000, UTC).date().isoformat()


def _day(name: str, value: str | None, default: int) -> int:
    """Days since 1970."""
    if value is None:
        return default
    try:
        found = (date.fromisoformat(value) - _EPOCH).days if _DAY.fullmatch(value) else -1
    except ValueError:
        found = -1
    if found < 0:
        raise BadRequest(f"{name} is a day, not {value[:40]!r}", hint="for example 2026-01-31, in UTC")
    return found


@operation(query=Account, answer=Money, raises=(NotFound,))
async def standing(control: Control, request: Request) -> None:
    """GET /v1/credit?account=: what there is to spend; another account's for the owner"""
    account = await _whose(control, request, request.asked(Account).account)
    found = await control.meter.standing(account, now_ms())
    await request.json(shown(control, account, found))


def shown(control: Control, account: int, found: Standing) -> Money:
    """The money of an account, for people and programs."""
    grants = [one._asdict() | {"dollars": dollars(one.amount), "dollars_left": dollars(one.left)} for one in found.grants]
    amounts = {name: getattr(found, name) for name in ("spent", "free", "free_left", "left", "beyond", "soft", "hard")}
    return {
        "month": shown_day(found.month // DAY), "spent": found.spent, "free": found.free, "free_left": found.free_left,
        "left": found.left, "beyond": found.beyond, "soft": found.soft, "hard": found.hard,
        "dollars": {name: None if value is None else dollars(value) for name, value in amounts.items()},
        "grants": grants, "warns": found.warns, "would_stop": found.stops,
        "stops": control.settings.spending_stops, "stopped": control.meter.stopped.get(account, ""),
    }  # fmt: skip


@operation(body=Granted, answer=Made, raises=(NotFound, Conflict))
async def grant(control: Control, request: Request) -> None:
    """POST /v1/admin/grant: {account, amount, reason, expires, token} -> {grant}; the owner only"""
    asked = await _body(control, request, Granted, '{"account": "anna", "amount": 3600000000000, "reason": "thesis"}')
    account = await _account(control, request, asked.account)
    if len(asked.token) > 64 or not asked.token.isalnum() and asked.token:
        raise BadRequest("a token has at most 64 letters and digits")
    given = Given(asked.amount, asked.reason, request.principal.name, _moment(asked.expires), asked.token)
    made = await control.storage.write(credit.grant, account, given, now_ms())
    control.meter.touch(account)
    await request.json({"grant": made})


@operation(body=Limited, answer=Money, raises=(NotFound,))
async def limit(control: Control, request: Request) -> None:
    """POST /v1/admin/limit: {account, soft, hard}; amounts a month, null = none; the owner only"""
    asked = await _body(control, request, Limited, '{"account": "anna", "soft": null, "hard": 36000000000000}')
    account = await _account(control, request, asked.account)
    for kind, amount in ((Kind.soft, asked.soft), (Kind.hard, asked.hard)):
        if not isinstance(amount, msgspec.UnsetType):
            await control.storage.write(credit.limit, account, kind, amount, request.principal.name, now_ms())
    control.meter.touch(account)
    await request.json(shown(control, account, await control.meter.standing(account, now_ms())))


@operation(query=Planned, answer=Estimate)
async def estimate(control: Control, request: Request) -> None:
    """GET /v1/estimate?function=&type=&cores=&count=: what so many jobs would cost, by those that ran before"""
    query = request.asked(Planned)
    settings, name = control.settings, query.type or control.default_type
    kind = settings.core_types.get(name)
    cores, count = query.cores, query.count
    if kind is None or cores not in kind.multiples:
        raise BadRequest(f"no core type {name[:40]!r} with {cores} cores", hint=f"core types: {', '.join(settings.core_types)}")
    found = await control.storage.read(runs.measured, request.principal.account, query.function, name)
    amounts = {} if found is None else {
        what: count * ms * cores * kind.price for what, ms in (("amount", found.mean), ("low", found.low), ("high", found.high))
    }  # fmt: skip
    told = None if found is None else {"runs": found.runs, "type": found.core_type, "mean": found.mean / 1000,
                                       "low": found.low / 1000, "high": found.high / 1000}  # fmt: skip
    money = await control.meter.standing(request.principal.account, now_ms())
    await request.json({
        "function": query.function, "type": name, "cores": cores, "count": count, "price": kind.price,
        "measured": told, **amounts, "dollars": dollars(amounts["amount"]) if amounts else None,
        "core_hours": amounts["amount"] / kind.price / HOUR if amounts and kind.price else None,
        "left": money.left, "dollars_left": dollars(money.left),
    })  # fmt: skip


def _moment(value: int | None) -> int | None:
    if value is not None and not 0 <= value < 1 << 52:
        raise BadRequest(f"no moment: {value}", hint="epoch milliseconds")
    return value


async def _whose(control: Control, request: Request, name: str | None) -> int:
    """The account that is asked about."""
    return request.principal.account if name is None else await _account(control, request, name)


async def _account(control: Control, request: Request, name: str) -> int:
    """The number of an account that the owner names."""
    if not request.principal.owner and name != request.principal.name:
        raise Forbidden("only the owner of this installation sees and changes the money of others", hint="ask the owner")
    return await control.storage.read(accounts.by_name, name[:64])


async def _body(control: Control, request: Request, kind: type[T], example: str) -> T:
    if not request.principal.owner:
        raise Forbidden("only the owner of this installation gives grants and sets limits", hint="ask the owner")
    asked = await request.read(kind, f"for example {example}")
    for amount in (getattr(asked, name, None) for name in ("amount", "soft", "hard")):
        if isinstance(amount, int) and not 0 <= amount <= MOST:
            raise BadRequest(f"no amount: {amount}", hint="$1 is 3600000000000; at most a million dollars")
    return asked
