"""Crons: a function comes in as MessagePack, everything about crons is JSON."""

from __future__ import annotations

from typing import Annotated, TypedDict

import msgspec
from msgspec import Meta

from picloud.server.calls import checked_function, registered
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation, packed
from picloud.server.storage import now_ms
from picloud.store.call import cron as store
from picloud.store.call import past
from picloud.store.call.cron import NEVER, Cron
from picloud.store.call.past import Run
from picloud.store.db import Transaction
from picloud.wire.bounds import Token
from picloud.wire.call import Kept, Label, Missed, Overlap, Register, Why, check_label
from picloud.wire.error import BadRequest, Conflict, NotFound, Skew, StorageFull, TooLarge
from picloud.wire.job import Status

MOST_RUNS = 1000


class Asked(msgspec.Struct):
    """The body of all that concerns one cron."""

    label: Label
    token: Token = ""  # of a run by hand: 16 bytes in hex


class Labelled(msgspec.Struct):
    label: str | None = None


class Past(msgspec.Struct):
    label: Label
    limit: Annotated[int, Meta(ge=1, le=MOST_RUNS)] = 100


class CronShown(TypedDict):
    label: str
    schedule: str
    timezone: str
    day_or: bool
    missed: str
    overlap: str
    next_run: int | None
    last_run: int | None
    last_jid: int | None
    last_status: str | None  # of that job; null = there was none, or it is cleaned away
    created: int
    creator_host: str
    func_name: str
    core_type: str


class Crons(TypedDict):
    crons: list[CronShown]


class RunShown(TypedDict):
    time: int
    made: int
    why: str
    jid: int | None
    status: str | None
    trouble: str


class Runs(TypedDict):
    runs: list[RunShown]


class Job(TypedDict):
    jid: int


async def _asked(request: Request) -> Asked:
    asked = await request.read(Asked, 'for example {"label": "nightly"}')
    check_label(asked.label)
    return asked


@operation(body=packed(Register), answer=packed(Kept), raises=(NotFound, Conflict, Skew, TooLarge, StorageFull))
async def register(control: Control, request: Request) -> None:
    """POST /v1/cron: Register -> Kept: a cron, in the place of the one that has its label"""
    asked = await registered(request)
    clock = asked.clock
    if clock is None:
        raise BadRequest("a cron has a schedule")
    try:
        clock.schedule = store.schedule(clock).text
    except ValueError as error:
        raise BadRequest(str(error)) from error
    if clock.missed not in set(Missed) or clock.overlap not in set(Overlap):
        raise BadRequest(f"no such policies: missed {clock.missed}, overlap {clock.overlap}")
    host, env = checked_function(control, request, asked.submit)
    missing = await control.storage.write(store.register, request.principal.account, asked, host, env, now_ms())
    control.crons.changed()
    await request.answer(msgspec.msgpack.encode(Kept(missing)))


@operation(query=Labelled, answer=Crons, raises=(NotFound,))
async def listing(control: Control, request: Request) -> None:
    """GET /v1/cron?label=: the account's crons, or one of them"""
    label, account = request.asked(Labelled).label, request.principal.account

    def read(tx: Transaction) -> tuple[list[Cron], dict[int, int]]:
        found = store.every(tx, account) if label is None else [store.find(tx, account, check_label(label))]
        return found, store.statuses(tx, account)

    found, statuses = await control.storage.read(read)
    await request.json({"crons": [_shown(one, statuses.get(one.last_jid or 0)) for one in found]})


def _shown(one: Cron, status: int | None) -> CronShown:
    clock, call = one.clock, one.call
    return {
        "label": call.label, "schedule": clock.schedule, "timezone": clock.timezone, "day_or": clock.day_or,
        "missed": Missed(clock.missed).name, "overlap": Overlap(clock.overlap).name,
        "next_run": one.due if one.due < NEVER else None, "last_run": one.last_run, "last_jid": one.last_jid,
        "last_status": None if status is None else Status(status).name, "created": call.created,
        "creator_host": call.machine, "func_name": call.name, "core_type": call.submit.options.core_type,
    }  # fmt: skip


@operation(query=Past, answer=Runs, raises=(NotFound,))
async def runs(control: Control, request: Request) -> None:
    """GET /v1/cron/run?label=&limit=: what came of a cron's times, the newest first"""
    query, account = request.asked(Past), request.principal.account
    label = check_label(query.label)

    def read(tx: Transaction) -> list[Run]:
        return past.of(tx, store.find(tx, account, label).call.id, query.limit)

    found = await control.storage.read(read)
    await request.json({"runs": [_told(one) for one in found]})


def _told(one: Run) -> RunShown:
    return {
        "time": one.at, "made": one.made, "why": Why(one.why).name, "jid": one.jid or None,
        "status": None if one.status is None else Status(one.status).name, "trouble": one.trouble,
    }  # fmt: skip


@operation(body=Asked, answer=Job, raises=(NotFound, Conflict, StorageFull))
async def by_hand(control: Control, request: Request) -> None:
    """POST /v1/cron/run: {label, token} -> {jid}: runs it now; the same token once more is the same job"""
    asked = await _asked(request)
    try:
        token = bytes.fromhex(asked.token)
    except ValueError:
        token = b""
    if len(token) != 16:
        raise BadRequest("a run by hand has a token", hint="16 bytes in hexadecimal, made anew for each run")
    await request.json({"jid": await control.crons.by_hand(request.principal.account, asked.label, token)})


@operation(body=Asked, raises=(NotFound,))
async def remove(control: Control, request: Request) -> None:
    """POST /v1/cron/remove: {label}: forgets a cron and its history"""
    asked = await _asked(request)
    await control.storage.write(store.remove, request.principal.account, asked.label)
    control.crons.changed()
    await request.json({})
