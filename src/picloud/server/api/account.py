"""Who somebody is: logins by link and by password, sign-up, passwords, and the accounts of the installation."""

from __future__ import annotations

import logging
import time
from typing import TypedDict

import msgspec

from picloud.server import audit, letters
from picloud.server.api.installation import alone, founded
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.server.storage import now_ms
from picloud.store import account as accounts
from picloud.store import audit as acts
from picloud.store.account import invitation as invitations
from picloud.store.account import user as users
from picloud.store.account.invitation import Joined, Wish
from picloud.store.account.session import session_name
from picloud.store.account.user import User
from picloud.store.db import Transaction
from picloud.wire.error import BadRequest, CloudException, Conflict, Forbidden, NotAuthorized, NotFound, TooMany

log = logging.getLogger("picloud.http")

TICKET_MS = 15 * 60_000
"""How long a login link works."""
FORGOTTEN_MS, FORGOTTEN_AGAIN_MS = 3_600_000, 300_000
"""How long a link works that a user has asked for herself, and after which time she may ask again."""
WRONG = "the name or the password is wrong"


class Ticket(msgspec.Struct):
    ticket: str


class Login(msgspec.Struct):
    user: str  # name or e-mail address
    password: str
    account: str = ""  # "" = the first that she owns, else the oldest


class SignUp(msgspec.Struct):
    email: str
    password: str
    name: str = ""  # "" = made from the address
    invitation: str = ""


class Reset(msgspec.Struct):
    link: str
    password: str


class Forgotten(msgspec.Struct):
    user: str  # name or e-mail address


class Renewal(msgspec.Struct):
    old: str
    new: str


class Token(TypedDict):
    token: str


class Entered(TypedDict):
    token: str
    user: str
    account: str
    role: str
    accounts: list[str]


class Renewed(TypedDict):
    user: str


class SignedUp(TypedDict):
    user: str
    account: str
    role: str
    api_key: int
    api_secretkey: str


# -- logins ------------------------------------------------------------------------------------------------------------


@operation(answer=Ticket)
async def login_link(control: Control, request: Request) -> None:
    """POST /v1/login/ticket -> {ticket}: for a link that works once; jobs cannot"""
    who = request.principal
    if who.attempt is not None:
        raise Forbidden("a job may not log in", hint="run `picloud login-link` yourself")

    def make(tx: Transaction) -> str:
        acts.note(tx, audit.act(request, "login.link"))
        return accounts.ticket_create(tx, who.account, now_ms(), TICKET_MS, who.scopes, person=who.person, key=who.key)

    await request.json({"ticket": await control.storage.write(make)})


@operation(body=Ticket, answer=Token, raises=(NotAuthorized,))
async def login(control: Control, request: Request) -> None:
    """POST /v1/login: {ticket} -> {token}; the ticket of the login link works once"""
    ticket, now = (await request.read(Ticket)).ticket, now_ms()

    def redeem(tx: Transaction) -> str:
        token = accounts.ticket_redeem(tx, ticket, now, _lifetime(control), request.header("user-agent"))
        found = accounts.token_check(tx, token, now)
        acts.note(tx, audit.act(request, "login", "by link", account=found.id, person=found.person))
        return token

    await request.json({"token": await control.storage.write(redeem)})


@operation(body=Login, answer=Entered, raises=(NotAuthorized, NotFound, TooMany))
async def login_password(control: Control, request: Request) -> None:
    """POST /v1/login/password: {user, password, account} -> {token, user, account, role, accounts}"""
    asked, now = await request.read(Login), now_ms()
    user = await known(control, request, asked.user, asked.password)
    places = await control.storage.read(users.memberships, user.id)
    place = next((one for one in places if one.account_name == (asked.account or one.account_name)), None)
    if place is None:
        what = f"is no member of {asked.account[:80]!r}" if asked.account else "belongs to no account"
        raise NotFound(f"{user.name} {what}", hint="ask for an invitation")
    renewed = await control.passwords.renewed(user.password, asked.password)

    def enter(tx: Transaction) -> str:
        if not users.rehash(tx, user.id, user.password, renewed or user.password):  # it was changed a moment ago
            raise NotAuthorized(WRONG, hint="log in with the new one")
        acts.note(tx, audit.act(request, "login", "by password", account=place.account, person=user.id))
        return accounts.session_create(tx, place.account, user.id, now, _lifetime(control), request.header("user-agent"))

    token = await control.storage.write(enter)
    await request.json({"token": token, "user": user.name, "account": place.account_name, "role": place.role.name,
                        "accounts": [one.account_name for one in places]})  # fmt: skip


@operation()
async def logout(control: Control, request: Request) -> None:
    """POST /v1/logout: ends the session of the token that the request carries"""
    if not request.principal.token:
        raise BadRequest("this is no session", hint="a key is ended by picloud keys deactivate")
    await control.storage.write(accounts.session_end, request.principal.token)
    control.authority.forget_named([session_name(request.principal.token)])
    await request.json({})


async def known(control: Control, request: Request, name: str, password: str) -> User:
    """The user of that name or address, if the password is hers.

    Raises:
        NotAuthorized: it is not; or there is no such user, which is not told.
        TooMany: there were many wrong ones.
    """
    name, address = name.strip().lower()[:254], request.address()
    control.limiter.enter(name, address, time.monotonic())
    try:
        user: User | None = await control.storage.read(users.find, name)
    except NotFound:
        user = None
    right = await control.passwords.fits(user.password if user else "", password)
    if user is not None and right:
        control.limiter.right(name, address)
        return user
    shown = user.name if user else "nobody of ours"
    await audit.note(control, request, "login.wrong", shown, refused_before=control.limiter.turned_away())
    raise NotAuthorized(WRONG, hint="an admin can print a link for a new one: picloud admin user passwd USER")


def _lifetime(control: Control) -> int:
    return int(control.settings.session * 1000)


# -- passwords ---------------------------------------------------------------------------------------------------------


@operation(body=Renewal, raises=(NotAuthorized, TooMany))
async def change_password(control: Control, request: Request) -> None:
    """POST /v1/password: {old, new}: one's own, of a session; every session of the user ends"""
    asked, who = await request.read(Renewal), request.principal
    if not who.token or not who.person:
        raise Forbidden("only who is logged in by name changes her password", hint="picloud admin user passwd USER")
    user = await control.storage.read(users.get, who.person)
    await known(control, request, user.name, asked.old)
    made = await control.passwords.made(asked.new)
    await control.storage.write(_set_password, user.id, made, audit.act(request, "password.change", user.name))
    control.authority.forget_sessions(user.id)
    await request.json({})


@operation(body=Reset, answer=Renewed, raises=(NotAuthorized,))
async def reset(control: Control, request: Request) -> None:
    """POST /v1/password/reset: {link, password} -> {user}: the link of an admin works once"""
    asked = await request.read(Reset)
    made = await control.passwords.made(asked.password)  # before the link is used up

    def take(tx: Transaction) -> User:
        found = invitations.take(tx, asked.link, now_ms())
        if not found.person:
            raise NotAuthorized("this link invites and sets no password", hint="use it for signing up")
        user = users.get(tx, found.person)
        _set_password(tx, user.id, made, audit.act(request, "password.reset", user.name, person=user.id))
        return user

    user = await control.storage.write(take)
    control.authority.forget_sessions(user.id)
    await request.json({"user": user.name})


@operation(body=Forgotten, raises=(NotFound, TooMany))
async def forgotten(control: Control, request: Request) -> None:
    """POST /v1/password/forgotten: {user} -> {}: a link goes to her address, if there is such a user, which is not told"""
    name, address = (await request.read(Forgotten)).user.strip().lower()[:254], request.address()
    if not control.mail.is_set:
        raise NotFound("this server sends no mails", hint="an admin prints a link: picloud admin user passwd USER --link")
    control.limiter.enter(f"forgotten {name}", address, time.monotonic())
    control.spawn(
        _send_link(control, name, audit.act(request, "password.forgotten"))
    )  # however long that takes, the answer is out
    await request.json({})


async def _send_link(control: Control, name: str, act: acts.Act) -> None:
    now = now_ms()

    def make(tx: Transaction) -> tuple[User, str]:
        user = users.find(tx, name)
        if not user.email or invitations.asked_since(tx, user.id, now - FORGOTTEN_AGAIN_MS):
            raise NotFound("there is no address, or a mail is on its way")
        acts.note(tx, msgspec.structs.replace(act, subject=user.name, person=user.id))
        return user, invitations.reset(tx, user.id, now, FORGOTTEN_MS)

    try:
        user, token = await control.storage.write(make)
    except NotFound:
        return
    except CloudException as error:
        log.warning("a link for a new password could not be made: %s", error.parameter)
        return
    letters.password(control, user.email, user.name, token, now + FORGOTTEN_MS)


def _set_password(tx: Transaction, person: int, made: str, act: acts.Act) -> None:
    users.set_password(tx, person, made, act.at)
    acts.note(tx, act)


# -- signing up --------------------------------------------------------------------------------------------------------


@operation(body=SignUp, answer=SignedUp, raises=(NotAuthorized, NotFound, Conflict, TooMany))
async def sign_up(control: Control, request: Request) -> None:
    """POST /v1/signup: {email, name, password, invitation} -> {user, account, role, api_key, api_secretkey}

    Who has a password here already joins with it, by an invitation.
    """
    asked = await request.read(SignUp)
    if not asked.invitation and control.settings.sign_up != "open":
        raise Forbidden("one signs up here by invitation", hint="ask the owner of this installation for a link")
    stranger = f"sign-up from {request.address()}"
    control.limiter.enter(stranger, request.address(), time.monotonic())
    email = users.address(asked.email)
    user = await _already(control, request, email, asked)
    name = user.name if user else (asked.name or users.name_of(email))
    hashed = user.password if user else await control.passwords.made(asked.password)
    wish = Wish(name, email, hashed, user.id if user else 0)
    cramped = await control.probing.rung() == "D"

    def join(tx: Transaction) -> Joined:
        made = invitations.sign_up(tx, wish, asked.invitation, now_ms())
        if cramped and len(accounts.every(tx)) > 1:
            raise alone()
        acts.note(tx, audit.act(request, "sign_up", name, account=made.account, person=made.person, role=made.role.name))
        return made

    made = await control.storage.write(join)
    control.limiter.right(stranger, request.address())
    control.authority.forget_person(made.person)
    account = await control.storage.read(accounts.get, made.account)
    if made.founded:
        await founded(control)
    await request.json({"user": name, "account": account.name, "role": made.role.name, "api_key": made.key,
                        "api_secretkey": made.secret})  # fmt: skip


async def _already(control: Control, request: Request, email: str, asked: SignUp) -> User | None:
    try:
        await control.storage.read(users.find, email)
    except NotFound:
        return None
    if not asked.invitation:
        raise Conflict("there is a user of that e-mail address already", hint="log in, or ask for a reset link")
    return await known(control, request, email, asked.password)
