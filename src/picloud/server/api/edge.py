"""What only the edge process asks: who logs in by ssh or comes with a terminal's ticket, and the way into a running job."""

from __future__ import annotations

import time
from typing import TypeVar

import msgspec

from picloud.server.control import Control
from picloud.server.doors import open_channel
from picloud.server.http import UNREADABLE, Request
from picloud.server.storage import now_ms
from picloud.store import account as accounts
from picloud.store import audit as acts
from picloud.store import sshkey as sshkeys
from picloud.store.db import Transaction
from picloud.wire.error import BadRequest, NotAuthorized, NotFound
from picloud.wire.message import Connect, Execute

T = TypeVar("T")


class Shown(msgspec.Struct):
    public: str = ""  # ssh-ed25519 AAAA..
    digest: str = ""  # sha256, hex, of the secret of an API key
    session: str = ""  # sha256, hex, of a login's token


class Login(Shown):
    address: str = ""  # from where


class Still(msgspec.Struct):
    shown: list[Shown]


class Refused(msgspec.Struct):
    jid: int
    address: str
    keys: list[str]  # of public keys, by the begin of their sha256
    secrets: int  # how many


class Channel(msgspec.Struct):
    channel: str
    jid: int
    what: Execute | Connect
    keys: list[int] = msgspec.field(default_factory=list)  # who logged in by ssh
    account: int = 0  # or whose it is, by a map or signature of ours


class Brought(msgspec.Struct):
    ticket: str  # of a terminal
    origin: str = ""  # of the page that brings it


class Listening(msgspec.Struct):
    open: list[int]
    failed: list[int]


async def _parsed(request: Request, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except UNREADABLE as error:
        raise BadRequest(f"the body is not what this route takes: {error}") from error


async def login(control: Control, request: Request) -> None:
    """POST /v1/edge/login: {public | digest, address} -> {keys}: the API keys that somebody has shown; the edge only"""
    told = await _parsed(request, Login)
    control.ssh_limiter.enter(told.address, told.address, time.monotonic())
    keys = await control.storage.read(_keys, told, now_ms())
    if keys:
        control.ssh_limiter.right(told.address, told.address)
    await request.json({"keys": keys})


async def still(control: Control, request: Request) -> None:
    """POST /v1/edge/still: {shown: [{public | digest | session}]} -> {keys: [[..]]}: the same of who is in; the edge only"""
    told, now = await _parsed(request, Still), now_ms()
    await request.json({"keys": await control.storage.read(lambda tx: [_keys(tx, one, now) for one in told.shown])})


async def refused(control: Control, request: Request) -> None:
    """POST /v1/edge/refused: {jid, address, keys, secrets}: somebody tried and did not come in; the edge only"""
    told = await _parsed(request, Refused)
    facts = {"keys": told.keys, "secrets": told.secrets, "refused_before": control.ssh_limiter.turned_away()}
    act = acts.Act(now_ms(), "ssh.wrong", f"job {told.jid}" if told.jid else "", facts, address=told.address)
    await control.storage.write(acts.note, act)
    await request.json({})


def _keys(tx: Transaction, told: Shown, now: int) -> list[int]:
    if told.public:
        return sshkeys.by_public(tx, told.public, now)
    try:
        if told.session:
            return accounts.token_opens(tx, bytes.fromhex(told.session), now)
        return sshkeys.by_digest(tx, bytes.fromhex(told.digest), now)
    except ValueError:
        return []


async def channel(control: Control, request: Request) -> None:
    """POST /v1/edge/channel: {channel, jid, what, keys | account} -> {account}; the edge only"""
    told = await _parsed(request, Channel)
    missing: NotFound | NotAuthorized = NotAuthorized("no key was shown")
    for account in [told.account] if told.account else []:
        await open_channel(control, account, told.jid, told.channel, told.what)
        await request.json({"account": account})
        return
    for key in told.keys:
        try:
            account = await control.storage.read(sshkeys.account_of, key, now_ms())
            await open_channel(control, account, told.jid, told.channel, told.what)
        except (NotFound, NotAuthorized) as error:
            missing = error
            continue
        await request.json({"account": account})
        return
    raise missing


async def terminal(control: Control, request: Request) -> None:
    """POST /v1/edge/terminal: {ticket, origin} -> {account, jid, rows, columns, shown, keys}: somebody's visit; the edge only"""
    told = await _parsed(request, Brought)
    visit = control.terminals.take(told.ticket, told.origin)
    keys = await control.storage.read(_keys, Shown(**visit.shown), now_ms())
    if not keys:
        raise NotAuthorized("what this terminal was opened with opens nothing any more", hint="log in again")
    await request.json({"account": visit.account, "jid": visit.jid, "rows": visit.rows, "columns": visit.columns,
                        "shown": visit.shown, "keys": keys})  # fmt: skip


async def listening(control: Control, request: Request) -> None:
    """POST /v1/edge/listening: {open, failed}: the ports where the edge listens; the edge only"""
    told = await _parsed(request, Listening)
    control.ports.listening(told.open, told.failed)
    await request.json({})
