"""Ways into running jobs for their owner: key pairs for ssh, waiting for a port or a state, links to a job's web pages."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Literal, TypedDict
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from picloud.server import audit
from picloud.server.address import is_loopback
from picloud.server.control import Control
from picloud.server.doors import holder, status_of
from picloud.server.http import Request
from picloud.server.hub import Watcher
from picloud.server.operation import operation
from picloud.server.ports import SSH
from picloud.server.storage import now_ms
from picloud.store import audit as acts
from picloud.store import sshkey as sshkeys
from picloud.store.db import Transaction
from picloud.wire import entry
from picloud.wire.error import BadRequest, Conflict, Forbidden, NotFound
from picloud.wire.job import FINISHED, Status
from picloud.wire.scope import Role, Scope

LONGEST_WAIT = 25.0
"""Seconds that one request waits; the client asks again."""
SWEEP = 2.0
"""Seconds after which the state is looked at even if nobody said that it changed."""
LINK_DEFAULT, LINK_LONGEST = 60.0, 30 * 86_400.0
"""Seconds that a link works: one that works once, and any."""


class Key(msgspec.Struct):
    api_key: int
    public: str


class Link(msgspec.Struct):
    port: int
    seconds: float = 0.0  # 0: works once, within a minute


class Until(msgspec.Struct):
    """One of status and port."""

    status: str = ""
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    protocol: Literal["tcp"] = "tcp"
    seconds: float = LONGEST_WAIT


class Found(TypedDict):
    status: str  # of the job
    found: Any  # the state or port that was waited for; null = not yet
    over: bool  # it can no longer be


class Pair(TypedDict):
    api_key: int  # what it opens, it opens for this one
    public: str  # "ssh-ed25519 AAAA..", without a comment
    created: int


class Pairs(TypedDict):
    keys: list[Pair]


class Made(TypedDict):
    url: str
    ends: int
    once: bool


@operation(body=Key, raises=(NotFound, Conflict))
async def add_key(control: Control, request: Request) -> None:
    """POST /v1/key/ssh: {api_key, public}: let a key pair into the account's jobs; jobs cannot"""
    who = request.principal
    if who.attempt is not None:
        raise Forbidden("a job may not add keys", hint="run `picloud setup` yourself")
    told = await request.read(Key)
    if told.api_key != who.key and not (who.scopes & Scope.admin and who.role > Role.member):
        raise Forbidden("this key adds key pairs to itself alone", hint="use that key, or one with the scope admin")
    await control.storage.write(lambda tx: sshkeys.add(tx, who.account, told.api_key, told.public, now_ms()))
    await audit.note(control, request, "ssh_key.add", told.api_key)
    await request.json({})


@operation(answer=Pairs)
async def list_keys(control: Control, request: Request) -> None:
    """GET /v1/key/ssh -> {keys: [{api_key, public, created}]}: the key pairs that open jobs, of API keys that one may change"""
    who = request.principal
    person = 0 if who.role > Role.member else who.person
    key = who.key if not who.scopes & Scope.admin else 0
    found = [] if who.attempt else await control.storage.read(sshkeys.listing, who.account, person, key)
    await request.json({"keys": found})


@operation(body=Key, raises=(NotFound, Conflict))
async def remove_key(control: Control, request: Request) -> None:
    """POST /v1/key/ssh/remove: {api_key, public}: the key pair opens no session by that API key any more; jobs cannot"""
    who = request.principal
    if who.attempt is not None:
        raise Forbidden("a job may not remove keys", hint="do it by hand, on the page of your keys")
    told = await request.read(Key)
    if told.api_key != who.key and not (who.scopes & Scope.admin and who.role > Role.member):
        raise Forbidden("this key removes its own key pairs alone", hint="use that key, or one with the scope admin")

    def act(tx: Transaction) -> None:
        sshkeys.remove(tx, who.account, told.api_key, told.public)
        acts.note(tx, audit.act(request, "ssh_key.remove", told.api_key))

    await control.storage.write(act)
    control.authority.forget(told.api_key)
    await request.json({})


@operation(query=Until, answer=Found, raises=(NotFound,))
async def wait(control: Control, request: Request, jid: str) -> None:
    """GET /v1/job/{jid}/wait?status=S | ?port=N -> {status, found, ...}: as soon as it is so, or after 25 s at most"""
    query = request.asked(Until)
    status, port = query.status, query.port
    if bool(status) == bool(port) or (status and status not in Status.__members__):
        raise BadRequest("say which status, or which port, to wait for", hint="?status=processing or ?port=8000")
    number = int(jid)
    who = request.principal
    watcher = Watcher(who.account, [(number, 1)], payload=False)
    waits = None
    with control.ports.watching(number, watcher.wake):
        control.hub.add(watcher)
        try:
            end = time.monotonic() + min(max(query.seconds, 0.0), LONGEST_WAIT)
            while True:
                watcher.wake.clear()
                found = await _look(control, request, number, status, port)
                if found["found"] or found["over"] or watcher.closed or (left := end - time.monotonic()) <= 0:
                    break
                if waits is None and who.attempt is not None and who.worker is not None:
                    waits = control.dispatcher.begin_wait(who.worker, who.attempt, watcher)
                await _woken(watcher.wake, min(left, SWEEP))
        finally:
            control.hub.remove(watcher)
            if waits is not None:
                control.dispatcher.end_wait(waits)
    await request.json(found)


async def _woken(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


async def _look(control: Control, request: Request, jid: int, status: str, port: int) -> Found:
    """What there is of what is waited for: ``found``, and ``over`` where it can no longer be."""
    account = request.principal.account
    now = await status_of(control, account, jid)
    over = now in FINISHED
    found: Any = None
    if status:
        found = status if now.name == status else None
    elif port == SSH and now is Status.processing:
        found = ports_of(control, request, jid)["tcp"][SSH] | {"key": control.ssh_key}
    elif now is Status.processing or port != SSH and not over:
        found = ports_of(control, request, jid)["tcp"].get(port)
    return {"status": now.name, "found": found, "over": over}


def ports_of(control: Control, request: Request, jid: int) -> dict[str, Any]:
    """The ports of a running job, addressed as this request can reach them."""
    name = urlsplit("//" + request.headers.get(b"host", b"").decode("latin-1")).hostname or ""
    address = "127.0.0.1" if is_loopback(name) else name
    return control.ports.shown(request.principal.account, jid, (address, control.ssh_port))


@operation(body=Link, answer=Made, raises=(NotFound, Conflict))
async def link(control: Control, request: Request, jid: str) -> None:
    """POST /v1/job/{jid}/link: {port, seconds} -> {url, ends}: the job's web page, for whoever has the link; jobs cannot"""
    who, number = request.principal, int(jid)
    if who.attempt is not None:
        raise Forbidden("a job may not make links", hint="use picloud open on your machine")
    told = await request.read(Link)
    if not 0 < told.port < 65_536 or not 0 <= told.seconds <= LINK_LONGEST:
        raise BadRequest("a link is to a port from 1 to 65535, for 30 days at most")
    status = await status_of(control, who.account, number)
    if holder(control, who.account, number) is None:
        raise Conflict(f"job {number} does not run ({status.name})", jid=number, hint="a link leads to a running job")
    ends = int(time.time() + (told.seconds or LINK_DEFAULT))
    made = entry.Entry(who.account, number, told.port, ends, once=not told.seconds)
    edge = urlsplit(control.edge(request))
    host = f"{made.name(control.secret)}.{control.settings.proxy_domain}:{edge.port}"
    await audit.note(control, request, "job.link", number, port=told.port)
    query = f"{entry.PARAMETER}={made.signed(control.secret)}"
    await request.json({"url": f"{edge.scheme}://{host}/?{query}", "ends": ends * 1000, "once": made.once})
