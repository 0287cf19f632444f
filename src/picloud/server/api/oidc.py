"""Logins by OpenID Connect: begun by who comes in, finished with what the provider gave her, for a one-time ticket."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypedDict

import msgspec

from picloud.server import audit
from picloud.server.api.account import known
from picloud.server.api.installation import alone, founded
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.server.storage import now_ms
from picloud.store import account as accounts
from picloud.store import audit as acts
from picloud.store.account import identity
from picloud.store.account import user as users
from picloud.store.account.identity import Claimed, Joins
from picloud.store.account.user import Member, User
from picloud.store.db import Transaction
from picloud.wire.error import BadRequest, Conflict, NotAuthorized, NotFound, TooMany
from picloud.wire.scope import role_of

PAGE = "/sign-in"
"""Where the provider sends people back to; it is registered there."""
TICKET_MS = 60_000


class Begin(msgspec.Struct):
    holder: str  # sha256, hex, of a secret that who begins keeps
    port: int = 0  # on her machine, where a terminal waits; 0 = none


class Finish(msgspec.Struct):
    state: str
    code: str
    holder: str  # that secret
    user: str = ""  # to be tied to this login, if the password is hers
    password: str = ""


class Begun(TypedDict):
    url: str


class Entered(TypedDict):
    ticket: str
    user: str
    account: str
    role: str


@operation(body=Begin, answer=Begun, raises=(NotFound,), named="login.oidc")
async def begin(control: Control, request: Request) -> None:
    """POST /v1/login/oidc: {holder, port} -> {url}: where somebody logs in"""
    asked = await request.read(Begin)
    try:
        holder = bytes.fromhex(asked.holder)
    except ValueError:
        holder = b""
    if len(holder) != hashlib.sha256().digest_size or not 0 <= asked.port < 1 << 16:
        raise BadRequest("holder is a sha256 in hex, port a port")
    base = control.public if control.settings.public_url else request.base()
    await request.json({"url": await control.provider.begin(holder, base + PAGE, asked.port)})


@operation(body=Finish, answer=Entered, raises=(NotAuthorized, NotFound, Conflict, TooMany), named="login.oidc.finish")
async def finish(control: Control, request: Request) -> None:
    """POST /v1/login/oidc/finish: {state, code, holder, user, password} -> {ticket, user, account}

    The ticket is changed for a token by POST /v1/login. With user and password, what the provider says is tied to that user; who
    has one and did not show it gets 409, and then sends the same once more with it.
    """
    asked, now = await request.read(Finish), now_ms()
    stranger = f"login from {request.address()}"
    control.limiter.enter(stranger, request.address(), time.monotonic())
    claimed = await control.provider.finish(asked.state, asked.holder, asked.code)
    control.limiter.right(stranger, request.address())
    with _once_more(control, asked, claimed):
        proven = await known(control, request, asked.user, asked.password) if asked.user else None
    cramped = await control.probing.rung() == "D"

    def enter(tx: Transaction) -> tuple[str, User, Member, bool]:
        found = identity.enter(tx, claimed, proven.id if proven else 0, _joins(control), now)
        user = users.get(tx, found.person)
        if found.created and cramped and len(accounts.every(tx)) > 1:
            raise alone()
        if not (places := users.memberships(tx, user.id)):
            raise NotFound(f"{user.name} belongs to no account", hint="ask for an invitation")
        facts: dict[str, Any] = {"issuer": claimed.issuer, "known_as": claimed.subject, "email": claimed.email}
        if found.linked:
            new = audit.act(
                request, "login.tied", user.name, account=places[0].account, person=user.id, new=found.created, **facts
            )
            acts.note(tx, new)
        acts.note(tx, audit.act(request, "login", "by OpenID Connect", account=places[0].account, person=user.id))
        return accounts.ticket_create(tx, places[0].account, now, TICKET_MS, person=user.id), user, places[0], found.created

    with _once_more(control, asked, claimed):
        ticket, user, place, created = await control.storage.write(enter)
    if created and not control.settings.oidc_account:
        await founded(control)
    await request.json({"ticket": ticket, "user": user.name, "account": place.account_name, "role": place.role.name})


@contextmanager
def _once_more(control: Control, asked: Finish, claimed: Claimed) -> Iterator[None]:
    """Who still has to show her password, or has mistyped it, need not go to the provider again."""
    try:
        yield
    except (Conflict, NotAuthorized, TooMany):
        control.provider.keep(asked.state, asked.holder, claimed)
        raise


def _joins(control: Control) -> Joins | None:
    settings = control.settings
    return Joins(settings.oidc_account, role_of(settings.oidc_role)) if settings.oidc_sign_up else None
