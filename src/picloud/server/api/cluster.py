"""The machine and its workers: what runs, what waits and why. What core types cost is in GET /v1/server."""

from __future__ import annotations

import platform
from typing import TypedDict

import msgspec
import psutil

from picloud.engine.base import Capacity
from picloud.server.api.server import WorkerShown, worker_shown
from picloud.server.auth import Principal
from picloud.server.control import Control
from picloud.server.fleet import Worker
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.store import account as accounts
from picloud.store import image
from picloud.store import job as jobs
from picloud.store.db import Transaction
from picloud.store.job import READY_CAP, Ready


class Machine(TypedDict):
    name: str
    rung: str  # of the sandbox, A to D
    capacity: Capacity
    cpu_percent: float  # of all cores, since somebody asked last
    memory_used: int  # bytes
    memory: int


class Placed(WorkerShown):
    """A worker, with what its jobs see."""

    env: str | None
    target: int  # slots that it shall have
    ready: int  # slots that can take jobs, or have one


class Totals(TypedDict):
    """Over all accounts."""

    workers: int
    slots: int
    busy: int
    cores_busy: int
    waiting: int  # ready jobs, of each kind at most a thousand


class Share(TypedDict):
    """What an account has of the machine."""

    account: str
    workers: int
    busy: int
    cores_busy: int
    waiting: int


class Waiting(TypedDict):
    """Ready jobs of one kind that no worker has."""

    account: str
    core_type: str
    cores: int
    env: str | None
    count: int
    more: bool  # there are more than were counted
    priority: int  # of the most urgent
    reason: str  # held, stopped, starting, trouble, capacity
    why: str  # the same in words


class Cluster(TypedDict):
    machine: Machine
    totals: Totals
    accounts: list[Share]  # all of them for the owner of the installation, else one's own
    workers: list[Placed]
    waits: list[Waiting]


@operation(answer=Cluster, named="cluster.read")
async def cluster(control: Control, request: Request) -> None:
    """GET /v1/cluster: the machine, its workers, and what waits and why; others than one's own for the owner alone"""
    who = request.principal
    rung = await control.probing.rung()

    def read(tx: Transaction) -> tuple[list[Ready], dict[int, str], dict[str, image.Shown]]:
        ready = jobs.ready(tx)
        names = {one.id: one.name for one in accounts.every(tx)}
        return ready, names, image.shown(tx, {each.env for each in ready} | {each.kind.env for each in control.fleet})

    ready, names, images = await control.storage.read(read)
    fleet = list(control.fleet)
    mine = [one for one in fleet if _is_seen(who, one.kind.account)]
    memory = psutil.virtual_memory()
    shares = [_share(control, number, name, fleet, ready) for number, name in sorted(names.items(), key=lambda each: each[1])
              if _is_seen(who, number)]  # fmt: skip
    await request.json({
        "machine": {"name": platform.node(), "rung": rung, "capacity": msgspec.to_builtins(control.engine.capacity()),
                    "cpu_percent": psutil.cpu_percent(), "memory_used": memory.total - memory.available, "memory": memory.total},
        "totals": {"workers": len(fleet), "slots": sum(one.slots for one in fleet), "busy": sum(map(_busy, fleet)),
                   "cores_busy": sum(_busy(one) * one.kind.cores for one in fleet),
                   "waiting": sum(one.count for one in ready)},
        "accounts": shares,
        "workers": [_placed(one, images) for one in mine],
        "waits": [_waiting(control, one, names, images) for one in ready if _is_seen(who, one.account)],
    })  # fmt: skip


def _is_seen(who: Principal, account: int) -> bool:
    return who.owner or who.account == account


def _busy(worker: Worker) -> int:
    return min(len(worker.held), worker.slots)


def _share(control: Control, number: int, name: str, fleet: list[Worker], ready: list[Ready]) -> Share:
    own = [one for one in fleet if one.kind.account == number]
    return {
        "account": name, "workers": len(own), "busy": sum(map(_busy, own)),
        "cores_busy": sum(_busy(one) * one.kind.cores for one in own),
        "waiting": sum(one.count for one in ready if one.account == number),
    }  # fmt: skip


def _placed(worker: Worker, images: dict[str, image.Shown]) -> Placed:
    seen = images.get(worker.kind.env)
    return {**worker_shown(worker), "env": seen.name if seen else None, "target": worker.target, "ready": worker.ready}


def _waiting(control: Control, one: Ready, names: dict[int, str], images: dict[str, image.Shown]) -> Waiting:
    seen = images.get(one.env)
    reason, why = _reason(control, one)
    return {
        "account": names.get(one.account, ""), "core_type": one.core_type, "cores": one.cores, "env": seen.name if seen else None,
        "count": one.count, "more": one.count >= READY_CAP, "priority": one.priority, "reason": reason, "why": why,
    }  # fmt: skip


def _reason(control: Control, one: Ready) -> tuple[str, str]:
    """Why no worker has these jobs yet, the first that holds."""
    workers = [each for each in control.fleet if each.kind.id == one.kind]
    if control.dispatcher.held:
        return "held", "jobs wait for the operator: picloud resume lets them go"
    if one.account in control.meter.stopped:
        return "stopped", control.meter.stopped[one.account]
    if trouble := control.placer.trouble(one.kind):
        return "trouble", trouble
    if workers and not any(each.connected and each.ready for each in workers):
        return "starting", "a worker starts and makes the environment ready"
    return "capacity", "all slots that fit are busy; the accounts share them fairly"
