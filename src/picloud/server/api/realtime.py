"""Reserved cores. JSON."""

from __future__ import annotations

from typing import Annotated, TypedDict

import msgspec
from msgspec import Meta

from picloud.server.api.submission import inherited
from picloud.server.check import PYTHON
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.server.realtime import ReservationShown, told
from picloud.store.db import Transaction
from picloud.store.meter import reservation as store
from picloud.store.meter import stretch
from picloud.store.meter.reservation import Wish
from picloud.wire.bounds import Number
from picloud.wire.error import BadRequest, Conflict, NotFound
from picloud.wire.money import HOUR

MOST_CORES = 100_000
MOST_ENDED = 100
MOST_HOURS = 24 * 366 * 10


class Asked(msgspec.Struct):
    """The body of a request for cores."""

    type: str
    cores: int
    max_duration: int | None = None  # hours
    token: str = ""
    interpreter: list[str] = []  # the client's, as in a submission: jobs with it are expected
    python: str = PYTHON


class Named(msgspec.Struct):
    """One reservation."""

    request_id: Number


class Changed(Named):
    """How long it may last."""

    max_duration: int | None = None  # hours


class Which(msgspec.Struct):
    request_id: Number | None = None
    ended: Annotated[int, Meta(ge=0, le=MOST_ENDED)] = 0  # so many of those that have ended, too


class Costing(ReservationShown):
    """A reservation with what came of it."""

    cost: int  # an amount: what it has cost until now


class Reservations(TypedDict):
    reservations: list[Costing]


def _longest(hours: int | None) -> int | None:
    """In ms."""
    if hours is not None and not 1 <= hours <= MOST_HOURS:
        raise BadRequest(f"cores are reserved for 1 to {MOST_HOURS} hours, not {hours}", hint="null: until they are released")
    return None if hours is None else hours * HOUR


@operation(body=Asked, answer=ReservationShown, raises=(Conflict,))
async def reserve(control: Control, request: Request) -> None:
    """POST /v1/realtime: {type, cores, max_duration (hours or null), token} -> the reservation; the same token is the same one"""
    asked = await request.read(Asked, 'for example {"type": "c2", "cores": 1, "max_duration": 8}')
    kind = control.settings.core_types.get(asked.type)
    if kind is None:
        raise BadRequest(f"no core type {asked.type[:40]!r}", hint=f"core types: {', '.join(control.settings.core_types)}")
    if not 1 <= asked.cores <= MOST_CORES:
        raise BadRequest(f"{asked.cores} cores", hint=f"1 to {MOST_CORES}")
    if len(asked.token) > 64 or not asked.token.isalnum() and asked.token:
        raise BadRequest("a token has at most 64 letters and digits")
    env = inherited(request.principal)
    if env is None:
        env = control.interpreters.host(asked.interpreter, asked.python[:20])
    wish = Wish(asked.type, asked.cores, env, kind.price, _longest(asked.max_duration), asked.token)
    await request.json(told(await control.realtime.request(request.principal.account, wish)))


@operation(query=Which, answer=Reservations, raises=(NotFound,))
async def listing(control: Control, request: Request) -> None:
    """GET /v1/realtime?request_id=&ended=: the account's reservations, or one of them, also if it has ended"""
    query, account = request.asked(Which), request.principal.account

    def read(tx: Transaction) -> list[Costing]:
        if query.request_id is None:
            found = [*store.every(tx, account), *(store.ended(tx, account, query.ended) if query.ended else [])]
        else:
            found = [store.find(tx, account, query.request_id)]
        return [{**told(one), "cost": stretch.amount(tx, one.id)} for one in found]

    await request.json({"reservations": await control.storage.read(read)})


@operation(body=Named, answer=ReservationShown, raises=(NotFound, Conflict))
async def release(control: Control, request: Request) -> None:
    """POST /v1/realtime/release: {request_id} -> the reservation: no job begins on it. The owner releases anybody's"""
    number, account = (await request.read(Named, 'for example {"request_id": 3}')).request_id, request.principal.account
    if request.principal.owner:
        account = control.realtime.owner_of(number) or account
    await request.json(told(await control.realtime.release(account, number)))


@operation(body=Changed, answer=ReservationShown, raises=(NotFound, Conflict))
async def change(control: Control, request: Request) -> None:
    """POST /v1/realtime/change: {request_id, max_duration (hours from its begin, or null)} -> the reservation"""
    asked = await request.read(Changed, 'for example {"request_id": 3, "max_duration": 12}')
    longest = _longest(asked.max_duration)
    await request.json(told(await control.realtime.change(request.principal.account, asked.request_id, longest)))
