"""About the server itself: what it is, what it does now."""

from __future__ import annotations

import asyncio
import os
from typing import Any, TypedDict

import msgspec

from picloud import __version__
from picloud.engine.base import Capacity
from picloud.sandbox.probe import Probe
from picloud.server.api import usage
from picloud.server.check import PYTHON
from picloud.server.control import Control
from picloud.server.fullness import Disk, disks, warnings
from picloud.server.http import Request, reply
from picloud.server.operation import JSON, operation
from picloud.server.realtime import ReservationShown, told
from picloud.server.storage import now_ms
from picloud.server.views import PagesShown
from picloud.settings import CoreType
from picloud.store import hold
from picloud.store import job as jobs
from picloud.store.meter.reservation import Reservation
from picloud.wire import WIRE_VERSION


class Health(TypedDict):
    ok: bool
    version: str
    pid: int


class Server(TypedDict):
    version: str
    wire: int
    python: str
    account: str
    core_types: dict[str, CoreType]
    default_type: str
    edge: str  # its URL
    max_body: int  # bytes
    capacity: Capacity
    pid: int


class WorkerShown(TypedDict):
    incarnation: str
    account: str
    core_type: str
    cores: int
    slots: int
    busy: int
    lent: int
    reserved: bool  # it works on reserved cores alone
    held: int
    pid: int
    connected: bool


class ReservedShown(ReservationShown):
    account: str


class Status(TypedDict):
    address: str
    pid: int
    version: str
    started: int
    workers: list[WorkerShown]
    capacity: Capacity
    reserved: list[ReservedShown]
    jobs: dict[str, int]  # by state
    held: int | None  # epoch ms since when jobs wait for `picloud resume`
    core_types: list[str]
    default_type: str
    disks: list[Disk]
    warnings: list[str]
    money: usage.Money
    sandbox: Probe
    pages: PagesShown  # of the dashboard, that are open


@operation(answer=Health)
async def health(control: Control, request: Request) -> None:
    """GET /v1/health: whether the server runs"""
    await reply(request.send, msgspec.json.encode({"ok": True, "version": __version__, "pid": os.getpid()}), JSON)


@operation(answer=dict[str, Any])
async def openapi(control: Control, request: Request) -> None:
    """GET /v1/openapi.json: this document"""
    await reply(request.send, await asyncio.to_thread(control.document), JSON)


@operation(answer=Server)
async def server(control: Control, request: Request) -> None:
    """GET /v1/server: what it is, what it offers, and whose key this is"""
    await request.json(
        {
            "version": __version__,
            "wire": WIRE_VERSION,
            "python": PYTHON,
            "account": request.principal.name,
            "core_types": {name: msgspec.to_builtins(kind) for name, kind in control.settings.core_types.items()},
            "default_type": control.default_type,
            "edge": control.edge(request),
            "max_body": control.settings.max_body,
            "capacity": msgspec.to_builtins(control.engine.capacity()),
            "pid": os.getpid(),
        }
    )


@operation(answer=Status)
async def status(control: Control, request: Request) -> None:
    """GET /v1/status: what the account and the machine do now"""
    who = request.principal
    mine = [w for w in control.fleet if who.owner or w.kind.account == who.account]
    counts = await control.storage.read(jobs.counts, who.account)
    await request.json(
        {
            "address": control.address,
            "pid": os.getpid(),
            "version": __version__,
            "started": int(control.started * 1000),
            "workers": [worker_shown(w) for w in mine],
            "capacity": msgspec.to_builtins(control.engine.capacity()),
            "reserved": [_reserved(control, one) for one in control.realtime.shown(None if who.owner else who.account)],
            "jobs": counts,
            "held": await control.storage.read(hold.since),
            "core_types": list(control.settings.core_types),
            "default_type": control.default_type,
            "disks": await asyncio.to_thread(lambda: msgspec.to_builtins(disks(control.settings))) if who.owner else [],
            "warnings": await asyncio.to_thread(warnings, control.settings) if who.owner else [],
            "money": usage.shown(control, who.account, await control.meter.standing(who.account, now_ms())),
            "sandbox": msgspec.to_builtins(await control.probing.probe()),
            "pages": control.views.shown(None if who.owner else who.account),
        }
    )


def _reserved(control: Control, one: Reservation) -> ReservedShown:
    return {**told(one), "account": control.placer.name_of(one.kind)}


def worker_shown(worker: Any) -> WorkerShown:
    """A worker for people."""
    return {
        "incarnation": worker.incarnation,
        "account": worker.kind.account_name,
        "core_type": worker.kind.core_type,
        "cores": worker.kind.cores,
        "slots": worker.slots,
        "busy": min(len(worker.held), worker.slots),  # what it said last may be old
        "lent": worker.lent,
        "reserved": worker.reserved,
        "held": len(worker.held),
        "pid": worker.pid,
        "connected": worker.connected,
    }
