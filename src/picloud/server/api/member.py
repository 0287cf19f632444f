"""Users and what they are in accounts: members, invitations, links for passwords, and the audit log.

An account's owner and admins manage its members; the owner of the installation manages all users and accounts.
"""

from __future__ import annotations

from typing import Annotated, Any, NotRequired, TypedDict

import msgspec
from msgspec import Meta

from picloud.server import audit, letters
from picloud.server.api.installation import check_room, founded, owner_only
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.server.storage import now_ms
from picloud.store import account as accounts
from picloud.store import audit as acts
from picloud.store.account import invitation as invitations
from picloud.store.account import user as users
from picloud.store.account.user import Member, User
from picloud.store.db import Transaction
from picloud.wire.error import BadRequest, Conflict, Forbidden, NotFound
from picloud.wire.scope import Role, role_of

HOUR = 3_600_000
LONGEST = 90 * 24.0
"""Hours that a link works at most."""
MOST = 1000
"""Rows of the audit log in one answer."""


class Place(msgspec.Struct):
    user: str
    role: str  # "none" takes her out
    account: str = ""


class Invite(msgspec.Struct):
    email: str = ""  # "" = whoever has the link
    account: str = ""  # "" = that of who asks
    new: bool = False  # instead: to an account of one's own
    role: str = "member"
    hours: float = 72.0


class NewUser(msgspec.Struct):
    email: str
    name: str = ""
    account: str = ""  # "" = a new one of her name
    role: str = "member"
    hours: float = 72.0


class Password(msgspec.Struct):
    user: str
    password: str = ""  # "" = a link to set it
    hours: float = 24.0


class Account(msgspec.Struct):
    """Whose; another than one's own for the owner of the installation."""

    account: str = ""


class Of(Account):
    all: bool = False


class Page(msgspec.Struct):
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 100
    before: Annotated[int, Meta(ge=0, lt=1 << 62)] = 0  # the id of an act
    act: str = ""  # "key.create", or all of a noun: "key"
    user: str = ""
    account: str = ""


class MemberShown(TypedDict):
    user: str
    email: str
    account: str
    role: str
    password: bool  # whether she has one
    created: int


class Members(TypedDict):
    members: list[MemberShown]


class Invited(TypedDict):
    invitation: str
    link: str
    expires: int


class Link(TypedDict):
    """A link that sets a password, where it was asked for."""

    user: str
    link: NotRequired[str]
    token: NotRequired[str]
    expires: NotRequired[int]


class Added(Link):
    account: str


class Acts(TypedDict):
    acts: list[dict[str, Any]]


async def named_account(control: Control, request: Request, name: str) -> int:
    """The account that a request is about: its own, or, for the owner of the installation, any.

    Raises:
        NotFound: there is none of that name that it may know of.
    """
    who = request.principal
    if not name or name == who.name:
        return who.account
    if not who.owner:
        raise NotFound(f"there is no account {name[:80]!r}", hint="only the owner of the installation manages others")
    return await control.storage.read(accounts.by_name, name)


def _manages(request: Request) -> Role:
    """The role of who manages the account; the owner of the installation may do all.

    Raises:
        Forbidden: she is a member only.
    """
    if request.principal.role < Role.admin:
        raise Forbidden("members do not manage an account", hint="ask an owner or admin of it")
    return request.principal.role


# -- members -----------------------------------------------------------------------------------------------------------


@operation(query=Of, answer=Members, raises=(NotFound,))
async def listing(control: Control, request: Request) -> None:
    """GET /v1/member?account=NAME | ?all=1 -> {members: [{user, email, account, role, password, created}]}"""
    query = request.asked(Of)
    if query.all:
        owner_only(request)
        account = 0
    else:
        account = await named_account(control, request, query.account)
    found = await control.storage.read(users.listing, account)
    await request.json({"members": [_shown(one) for one in found]})


@operation(body=Place, raises=(NotFound, Conflict))
async def place(control: Control, request: Request) -> None:
    """POST /v1/member: {user, role (member, admin, owner, none), account}: who is there already gets another role, or goes"""
    asked = await request.read(Place)
    mine = _manages(request)
    account = await named_account(control, request, asked.account)
    role = None if asked.role == "none" else role_of(asked.role)

    def act(tx: Transaction) -> tuple[int, list[int]]:
        user = users.find(tx, asked.user)
        held = next((one.role for one in users.listing(tx, account) if one.person == user.id), None)
        if held is None and not request.principal.owner:
            raise NotFound(f"{asked.user[:80]!r} is no member", hint="picloud admin user invite prints a link for somebody new")
        if not request.principal.owner and max(held or Role.member, role or Role.member) > mine:
            raise Forbidden(f"an {mine.name} does not change owners, nor make some", hint="ask an owner of the account")
        acts.note(tx, audit.act(request, "member.role", user.name, role=asked.role, of=accounts.get(tx, account).name))
        return user.id, users.set_role(tx, account, user.id, role, now_ms())

    person, keys = await control.storage.write(act)
    for key in keys:
        control.authority.forget(key)
    control.authority.forget_sessions(person)
    await request.json({})


@operation(body=Invite, answer=Invited, raises=(NotFound,))
async def invite(control: Control, request: Request) -> None:
    """POST /v1/invitation: {email, role, account | new, hours} -> {link, invitation, expires, mailed}: works once"""
    asked = await request.read(Invite)
    mine, role = _manages(request), role_of(asked.role)
    if asked.new:
        owner_only(request)
        await check_room(control)
        account, role = 0, Role.owner
    else:
        account = await named_account(control, request, asked.account)
        if role > mine and not request.principal.owner:
            raise Forbidden(f"an {mine.name} invites nobody as {role.name}", hint="ask an owner of the account")
    lifetime = _lifetime(asked.hours)

    def act(tx: Transaction) -> str:
        acts.note(tx, audit.act(request, "invitation", asked.email, role=role.name, new=asked.new))
        return invitations.invite(tx, account, role, asked.email, now_ms(), lifetime)

    token, until = await control.storage.write(act), now_ms() + lifetime
    mailed = letters.invitation(control, asked.email and users.address(asked.email), request.principal.name, token, until)
    link = _link(request, "sign-up", token)
    await request.json({"invitation": token, "link": link, "expires": until, "mailed": mailed})


# -- users of the installation -----------------------------------------------------------------------------------------


@operation(body=NewUser, answer=Added, raises=(NotFound, Conflict))
async def add_user(control: Control, request: Request) -> None:
    """POST /v1/admin/user: {email, name, account, role, hours} -> {user, account, link, expires, mailed}: it sets her password"""
    owner_only(request)
    asked = await request.read(NewUser)
    email, role = users.address(asked.email), role_of(asked.role)
    name, lifetime = asked.name or users.name_of(email), _lifetime(asked.hours)
    if not asked.account:
        await check_room(control)

    def act(tx: Transaction) -> tuple[str, str]:
        person = users.create(tx, name, email, now_ms())
        account = accounts.by_name(tx, asked.account) if asked.account else accounts.create(tx, name, now_ms())
        users.set_role(tx, account, person, role if asked.account else Role.owner, now_ms())
        acts.note(tx, audit.act(request, "user.add", name, email=email, of=asked.account or name))
        return asked.account or name, invitations.reset(tx, person, now_ms(), lifetime)

    account, token = await control.storage.write(act)
    if not asked.account:
        await founded(control)
    until = now_ms() + lifetime
    mailed = letters.password(control, email, name, token, until)
    await request.json({"user": name, "account": account, "link": _link(request, "password", token), "token": token,
                        "expires": until, "mailed": mailed})  # fmt: skip


@operation(body=Password, answer=Link, raises=(NotFound,))
async def set_password(control: Control, request: Request) -> None:
    """POST /v1/admin/user/password: {user, password | hours} -> {user} or {user, link, token, expires, mailed}; owner only"""
    owner_only(request)
    asked = await request.read(Password)
    if request.principal.attempt is not None:
        raise Forbidden("a job sets no passwords")
    made = await control.passwords.made(asked.password) if asked.password else ""
    lifetime = _lifetime(asked.hours)

    def act(tx: Transaction) -> tuple[User, str]:
        user = users.find(tx, asked.user)
        if made:
            acts.note(tx, audit.act(request, "password.set", user.name))
            users.set_password(tx, user.id, made, now_ms())
            return user, ""
        acts.note(tx, audit.act(request, "password.link", user.name))
        return user, invitations.reset(tx, user.id, now_ms(), lifetime)

    user, token = await control.storage.write(act)
    if made:
        control.authority.forget_sessions(user.id)
    until = now_ms() + lifetime
    mailed = bool(token) and letters.password(control, user.email, user.name, token, until)
    told = {"link": _link(request, "password", token), "token": token, "expires": until, "mailed": mailed} if token else {}
    await request.json({"user": user.name} | told)


@operation(query=Page, answer=Acts, raises=(NotFound,))
async def log(control: Control, request: Request) -> None:
    """GET /v1/audit?limit=&before=&act=&user=&account= -> {acts: [{id, at, act, subject, account, user, api_key, jid, ..}]}

    The newest first: of the account, or, for the owner of the installation, of all, or of the one that she names.
    """
    _manages(request)
    page, who = request.asked(Page), request.principal
    account = await named_account(control, request, page.account) if page.account or not who.owner else 0
    wanted = acts.Wanted(account, page.act, page.user)
    found = await control.storage.read(acts.listing, wanted, page.before, page.limit)
    await request.json({"acts": found})


def _lifetime(hours: float) -> int:
    if not 0 < hours <= LONGEST:
        raise BadRequest(f"a link for {hours:g} hours", hint=f"above 0, at most {LONGEST:g}")
    return int(hours * HOUR)


def _link(request: Request, what: str, token: str) -> str:
    """The address of the page that takes the link, as this request found us; behind # no log of a server sees it."""
    return f"{request.base()}/{what}#{token}"


def _shown(one: Member) -> MemberShown:
    return {
        "user": one.name, "email": one.email, "account": one.account_name, "role": one.role.name, "password": one.password,
        "created": one.created,
    }  # fmt: skip
