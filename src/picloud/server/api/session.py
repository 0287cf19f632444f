"""Who asks, where she is logged in, and which ways in there are."""

from __future__ import annotations

from typing import TypedDict
from urllib.parse import urlsplit

import msgspec

from picloud import __version__
from picloud.server import audit
from picloud.server.auth import Principal
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.server.storage import now_ms
from picloud.store import audit as acts
from picloud.store.account import session as store
from picloud.store.account import user as users
from picloud.store.db import Transaction
from picloud.wire.error import BadRequest, Forbidden, NotFound
from picloud.wire.scope import Scope, spelled


class Ways(TypedDict):
    """How one gets in."""

    password: bool
    oidc: str | None  # the provider's host name; null = there is none
    sign_up: str  # invited, or open to everybody
    forgotten: bool  # a link for a new password can be mailed
    version: str


class SessionShown(TypedDict):
    """Somebody is logged in."""

    session: str  # its name, to end it by
    account: str
    created: int | None  # epoch ms
    used: int | None  # to a minute or so
    expires: int
    agent: str  # the program that logged in, as it calls itself
    current: bool  # it is the one that asks


class Self(TypedDict):
    """Whoever asks."""

    by: str  # session, key or job
    account: str
    user: str | None  # null: a key of the account itself, or a link without a name
    email: str | None
    role: str
    scopes: list[str]
    owner: bool  # of the installation
    expires: int | None  # epoch ms; null = never
    api_key: int | None
    jid: int | None
    accounts: list[str]  # of which she is a member
    sessions: list[SessionShown]  # hers, the newest first; of a key without admin, none


class End(msgspec.Struct):
    """Which sessions."""

    sessions: list[str] = []  # names
    others: bool = False  # all but the one that asks


class Ended(TypedDict):
    ended: int


@operation(answer=Ways, named="login.ways")
async def ways(control: Control, request: Request) -> None:
    """GET /v1/login: which ways in there are; without a key"""
    settings = control.settings
    provider = urlsplit(settings.oidc_issuer).hostname if settings.oidc_issuer else None
    await request.json(
        {
            "password": True,
            "oidc": provider,
            "sign_up": settings.sign_up,
            "forgotten": control.mail.is_set,
            "version": __version__,
        }
    )


@operation(answer=Self, named="session.own")
async def own(control: Control, request: Request) -> None:
    """GET /v1/session: who asks, what she may do, and where she is logged in"""
    who, now = request.principal, now_ms()

    def read(tx: Transaction) -> tuple[users.User | None, list[users.Member], list[store.Session]]:
        person = users.get(tx, who.person) if who.person else None
        places = users.memberships(tx, who.person) if person else []
        return person, places, store.sessions(tx, who.account, who.person, now) if _may_see(who) else []

    person, places, sessions = await control.storage.read(read)
    current = store.session_name(who.token) if who.token else ""
    shown = [_shown(one, current) for one in sessions]
    until = next((one.expires for one in sessions if one.name == current), 0) or (request.held.until if request.held else 0)
    await request.json(
        {
            "by": "job" if who.attempt else "session" if who.token else "key",
            "account": who.name, "user": person.name if person else None, "email": person.email if person else None,
            "role": who.role.name, "scopes": spelled(who.scopes), "owner": who.owner, "expires": until or None,
            "api_key": who.key or None, "jid": who.attempt[0] if who.attempt else None,
            "accounts": [one.account_name for one in places] or [who.name], "sessions": shown,
        }
    )  # fmt: skip


@operation(body=End, answer=Ended, raises=(NotFound,), named="session.end")
async def end(control: Control, request: Request) -> None:
    """POST /v1/session/end: {sessions} or {others} -> {ended}: logs one out elsewhere"""
    asked, who, now = await request.read(End, 'for example {"others": true}'), request.principal, now_ms()
    if not _may_see(who):
        raise Forbidden("only who is logged in, or a key with admin, ends sessions", hint="log in")
    if bool(asked.sessions) == asked.others:
        raise BadRequest("either sessions are named, or all others end", hint='for example {"others": true}')

    def act(tx: Transaction) -> set[str]:
        hers = {one.name for one in store.sessions(tx, who.account, who.person, now)}
        names = hers - {store.session_name(who.token) if who.token else ""} if asked.others else hers & set(asked.sessions)
        if asked.sessions and not names:
            raise NotFound("there is no such session", hint="GET /v1/session lists yours")
        store.sessions_end(tx, who.account, who.person, names, now)
        acts.note(tx, audit.act(request, "session.end", ended=len(names)))
        return names

    ended = await control.storage.write(act)
    control.authority.forget_named(ended)
    await request.json({"ended": len(ended)})


def _may_see(who: Principal) -> bool:
    """Whether sessions are hers to see and end: a leaked key of little worth does not tell of them."""
    return bool(who.token) or (who.attempt is None and bool(who.scopes & Scope.admin))


def _shown(one: store.Session, current: str) -> SessionShown:
    return {
        "session": one.name, "account": one.account, "created": one.created or None, "used": one.used or None,
        "expires": one.expires, "agent": one.agent, "current": one.name == current,
    }  # fmt: skip
