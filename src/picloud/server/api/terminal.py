"""Terminals in a browser: a ticket for one visit to a running job, which the edge redeems when the browser comes with it."""

from __future__ import annotations

import hashlib
from typing import Annotated, TypedDict

import msgspec
from msgspec import Meta

from picloud.server import audit
from picloud.server.auth import secret_shown
from picloud.server.control import Control
from picloud.server.doors import holder, status_of
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.server.storage import now_ms
from picloud.server.terminals import LIFETIME, Visit
from picloud.wire.error import Conflict, Forbidden, NotFound

Lines = Annotated[int, Meta(ge=1, le=1000)]


class Size(msgspec.Struct):
    rows: Lines = 24
    cols: Lines = 80


class Opened(TypedDict):
    url: str  # of the WebSocket, with the ticket in it
    ticket: str
    until: int  # epoch ms


@operation(body=Size, answer=Opened, raises=(NotFound, Conflict))
async def make(control: Control, request: Request, jid: str) -> None:
    """POST /v1/job/{jid}/terminal: {rows, cols} -> {url, ticket, until}: a WebSocket into the job, once; jobs cannot"""
    who, number = request.principal, int(jid)
    if who.attempt is not None:
        raise Forbidden("a job may not open terminals", hint="use picloud ssh on your machine")
    size = await request.read(Size)
    status = await status_of(control, who.account, number)
    if holder(control, who.account, number) is None:
        raise Conflict(f"job {number} does not run ({status.name})", jid=number, hint="a terminal leads into a running job")
    place = request.header("host")
    ticket = control.terminals.give(Visit(who.account, number, size.rows, size.cols, place, _shown(request)))
    await audit.note(control, request, "job.terminal", number)
    edge = control.edge(request).replace("http", "ws", 1)
    until = now_ms() + int(LIFETIME * 1000)
    await request.json(Opened(url=f"{edge}/terminal?ticket={ticket}", ticket=ticket, until=until))


def _shown(request: Request) -> dict[str, str]:
    """What the visit lasts as long as: digests, which open nothing themselves."""
    token = request.principal.token
    if token:
        return {"session": hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()}
    return {"digest": hashlib.sha256(secret_shown(request.headers).encode("utf-8", "surrogatepass")).hexdigest()}
