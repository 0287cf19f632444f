"""About the server itself: what it is, what it does now, who may use it."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from picloud import __version__
from picloud.server.check import PYTHON
from picloud.server.control import Control
from picloud.server.http import JSON, Request, reply
from picloud.server.storage import now_ms
from picloud.store import account as accounts
from picloud.store import job as jobs
from picloud.wire import WIRE_VERSION
from picloud.wire.error import BadRequest, Forbidden

TICKET_MS = 15 * 60_000
"""How long a login link works."""

SESSION_MS = 12 * 3_600_000
"""How long a browser stays logged in."""


class Name(msgspec.Struct):
    name: str


class Ticket(msgspec.Struct):
    ticket: str


async def health(control: Control, request: Request) -> None:
    """GET /v1/health (no key)"""
    await reply(request.send, msgspec.json.encode({"ok": True, "version": __version__, "pid": os.getpid()}), JSON)


async def server(control: Control, request: Request) -> None:
    """GET /v1/server"""
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


async def status(control: Control, request: Request) -> None:
    """GET /v1/status"""
    who = request.principal
    mine = [w for w in control.fleet if who.owner or w.kind.account == who.account]
    counts = await control.storage.read(jobs.counts, who.account)
    await request.json(
        {
            "address": control.address,
            "pid": os.getpid(),
            "version": __version__,
            "started": int(control.started * 1000),
            "workers": [_worker(w) for w in mine],
            "capacity": msgspec.to_builtins(control.engine.capacity()),
            "jobs": counts,
            "core_types": list(control.settings.core_types),
            "default_type": control.default_type,
            "sandbox": msgspec.to_builtins(await control.probing.probe()),
        }
    )


def _worker(worker: Any) -> dict[str, Any]:
    return {
        "incarnation": worker.incarnation,
        "account": worker.kind.account_name,
        "core_type": worker.kind.core_type,
        "cores": worker.kind.cores,
        "slots": worker.slots,
        "busy": min(len(worker.held), worker.slots),  # what it said last may be old
        "lent": worker.lent,
        "held": len(worker.held),
        "pid": worker.pid,
        "connected": worker.connected,
    }


async def add_account(control: Control, request: Request) -> None:
    """POST /v1/admin/account: {name} -> {name, api_key, api_secretkey}; the owner only"""
    if not request.principal.owner:
        raise Forbidden("only the owner of this installation adds accounts", hint="ask the owner")
    if await control.probing.rung() == "D":
        hint = "picloud doctor tells what isolation needs here"
        raise Forbidden("this machine cannot isolate jobs (rung D), so its installation has one account", hint=hint)
    try:
        name = msgspec.json.decode(await request.body(), type=Name).name
    except msgspec.MsgspecError as error:
        raise BadRequest(f"no account name: {error}", hint='for example {"name": "anna"}') from error
    account = await control.storage.write(accounts.create, name, now_ms())
    control.interpreters.alone = False
    control.interpreters.forget()
    key, secret = await control.storage.write(accounts.key_create, account, now_ms())
    await request.json({"name": name, "api_key": key, "api_secretkey": secret})


async def login_link(control: Control, request: Request) -> None:
    """POST /v1/login/ticket -> {ticket}: for a link that works once; jobs cannot"""
    if request.principal.attempt is not None:
        raise Forbidden("a job may not log in", hint="run `picloud status --login` yourself")
    await request.json(
        {"ticket": await control.storage.write(accounts.ticket_create, request.principal.account, now_ms(), TICKET_MS)}
    )


async def login(control: Control, request: Request) -> None:
    """POST /v1/login: {ticket} -> {token}; the ticket of the login link works once"""
    try:
        ticket = msgspec.json.decode(await request.body(), type=Ticket).ticket
    except msgspec.MsgspecError as error:
        raise BadRequest(f"no ticket: {error}") from error
    token = await control.storage.write(accounts.ticket_redeem, ticket, now_ms(), SESSION_MS)
    await request.json({"token": token})
