"""What only the edge process asks: who logs in by ssh, and the way into a running job."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from picloud.server.control import Control
from picloud.server.doors import open_channel
from picloud.server.http import Request
from picloud.store import sshkey as sshkeys
from picloud.wire.error import BadRequest, NotAuthorized, NotFound
from picloud.wire.message import Connect, Execute

T = TypeVar("T")


class Login(msgspec.Struct):
    public: str = ""  # ssh-ed25519 AAAA..
    secret: str = ""  # of an API key


class Channel(msgspec.Struct):
    channel: str
    jid: int
    what: Execute | Connect
    keys: list[int] = msgspec.field(default_factory=list)  # who logged in by ssh
    account: int = 0  # or whose it is, by a map or signature of ours


class Listening(msgspec.Struct):
    open: list[int]
    failed: list[int]


async def _parsed(request: Request, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except msgspec.MsgspecError as error:
        raise BadRequest(f"the body is not what this route takes: {error}") from error


async def login(control: Control, request: Request) -> None:
    """POST /v1/edge/login: {public | secret} -> {keys}: the API keys that somebody has shown; the edge only"""
    told = await _parsed(request, Login)
    if told.public:
        keys = await control.storage.read(sshkeys.by_public, told.public)
    else:
        keys = await control.storage.read(sshkeys.by_secret, told.secret)
    await request.json({"keys": keys})


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
            account = await control.storage.read(sshkeys.account_of, key)
            await open_channel(control, account, told.jid, told.channel, told.what)
        except (NotFound, NotAuthorized) as error:
            missing = error
            continue
        await request.json({"account": account})
        return
    raise missing


async def listening(control: Control, request: Request) -> None:
    """POST /v1/edge/listening: {open, failed}: the ports where the edge listens; the edge only"""
    told = await _parsed(request, Listening)
    control.ports.listening(told.open, told.failed)
    await request.json({})
