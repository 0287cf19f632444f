"""API keys over HTTP: listed, made, changed, given a new secret. A user manages her own, an admin of the account its keys.

Nobody gives away more than she has: a key is made, changed or given a new secret only by who has all of its scopes, and keys of
somebody of a higher role are out of reach.
"""

from __future__ import annotations

from typing import TypedDict

import msgspec

from picloud.server import audit
from picloud.server.api.member import Account, named_account
from picloud.server.auth import Principal
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.server.storage import now_ms
from picloud.store import account as accounts
from picloud.store import audit as acts
from picloud.store import sshkey as sshkeys
from picloud.store.account import Change, Key
from picloud.store.account import user as users
from picloud.store.db import Transaction
from picloud.wire.error import BadRequest, Conflict, Forbidden, NotFound
from picloud.wire.scope import EVERYTHING, USUAL, Role, Scope, scopes_of, spelled

LONGEST_NOTE = 200
LONGEST_OVERLAP = 30 * 86_400.0
"""Seconds for which the secret before a rotation may still work."""


class New(msgspec.Struct):
    note: str = ""
    scopes: list[str] | None = None  # None = all but admin, as far as who asks has them
    expires: int = 0  # epoch ms; 0 = never
    account: str = ""
    public: str = ""  # a key pair's public half, for ssh into jobs


class Changed(msgspec.Struct):
    api_key: int
    note: str | None = None
    active: bool | None = None
    scopes: list[str] | None = None
    expires: int | None = None
    account: str = ""


class Rotated(msgspec.Struct):
    api_key: int
    overlap: float = 0.0  # seconds
    account: str = ""


class Shown(TypedDict):
    """A key without its secret."""

    api_key: int
    note: str
    active: bool
    scopes: list[str]
    expires: int  # epoch ms; 0 = never
    created: int
    user: str
    former_until: int  # epoch ms


class Secret(Shown):
    api_secretkey: str


class Keys(TypedDict):
    keys: list[Shown]


@operation(query=Account, answer=Keys, raises=(NotFound,))
async def listing(control: Control, request: Request) -> None:
    """GET /v1/key?account=NAME -> {keys: [{api_key, note, active, scopes, expires, created, user, ..}]}, the oldest first"""
    account = await named_account(control, request, request.asked(Account).account)
    person = _alone(request.principal)

    def find(tx: Transaction) -> list[Shown]:
        names = {one.person: one.name for one in users.listing(tx, account)}
        return [shown(one, names.get(one.person, "")) for one in accounts.keys(tx, account, person)]

    await request.json({"keys": await control.storage.read(find)})


@operation(answer=Shown, raises=(NotFound,))
async def own(control: Control, request: Request) -> None:
    """GET /v1/key/own -> the key that the request carries, as in the list"""
    who = request.principal
    if not who.key:
        raise BadRequest("the request carries no API key", hint="this is a session, or a job")
    one = await control.storage.read(accounts.key_get, who.account, who.key)
    name = (await control.storage.read(users.get, one.person)).name if one.person else ""
    await request.json(shown(one, name))


@operation(body=New, answer=Secret, raises=(NotFound, Conflict))
async def create(control: Control, request: Request) -> None:
    """POST /v1/key: {note, scopes, expires, account, public} -> the key, with its secret, which is shown this once"""
    asked, who, now = await request.read(New), request.principal, now_ms()
    account = await named_account(control, request, asked.account)
    most = who.scopes if who.role > Role.member else who.scopes & ~Scope.admin
    scopes = USUAL & most if asked.scopes is None else scopes_of(asked.scopes)
    _check_scopes(most, scopes)
    check(asked.note, asked.expires, now)
    person = who.person if account == who.account else 0

    def make(tx: Transaction) -> tuple[Key, str]:
        key, secret = accounts.key_create(tx, account, now, asked.note, scopes, expires=asked.expires, person=person)
        if asked.public:
            sshkeys.add(tx, account, key, asked.public, now)
        acts.note(tx, audit.act(request, "key.create", key, scopes=spelled(scopes), expires=asked.expires))
        return accounts.key_get(tx, account, key), secret

    made, secret = await control.storage.write(make)
    await request.json(shown(made) | {"api_secretkey": secret})


@operation(body=Changed, answer=Shown, raises=(NotFound,))
async def change(control: Control, request: Request) -> None:
    """POST /v1/key/change: {api_key, note, active, scopes, expires, account} -> the key; what is left out stays"""
    asked, now = await request.read(Changed), now_ms()
    account = await named_account(control, request, asked.account)
    scopes = None if asked.scopes is None else scopes_of(asked.scopes)
    check(asked.note or "", asked.expires or 0, now)
    facts = {name: value for name in ("note", "active", "scopes", "expires") if (value := getattr(asked, name)) is not None}

    def act(tx: Transaction) -> Key:
        _reach(tx, request.principal, account, asked.api_key, scopes)
        accounts.key_change(tx, account, asked.api_key, Change(asked.note, asked.active, asked.expires, scopes))
        acts.note(tx, audit.act(request, "key.change", asked.api_key, **facts))
        return accounts.key_get(tx, account, asked.api_key)

    made = await control.storage.write(act)
    control.authority.forget(asked.api_key)
    await request.json(shown(made))


@operation(body=Rotated, answer=Secret, raises=(NotFound,))
async def rotate(control: Control, request: Request) -> None:
    """POST /v1/key/rotate: {api_key, overlap (seconds), account} -> the key, with its new secret, which is shown this once"""
    asked, now = await request.read(Rotated), now_ms()
    account = await named_account(control, request, asked.account)
    if not 0 <= asked.overlap <= LONGEST_OVERLAP:
        raise BadRequest(f"an overlap of {asked.overlap:g} s", hint="0 to 30 days")

    def act(tx: Transaction) -> tuple[Key, str]:
        one = _reach(tx, request.principal, account, asked.api_key)
        _check_scopes(request.principal.scopes, one.scopes)
        secret = accounts.key_rotate(tx, account, asked.api_key, now, int(asked.overlap * 1000))
        acts.note(tx, audit.act(request, "key.rotate", asked.api_key, overlap=asked.overlap))
        return accounts.key_get(tx, account, asked.api_key), secret

    made, secret = await control.storage.write(act)
    control.authority.forget(asked.api_key)
    await request.json(shown(made) | {"api_secretkey": secret})


def _alone(who: Principal) -> int:
    """The user whose keys alone this one sees; 0 = all of the account."""
    return who.person if who.role is Role.member else 0


def _reach(tx: Transaction, who: Principal, account: int, key: int, scopes: Scope | None = None) -> Key:
    """The key, if this one may change it.

    Raises:
        NotFound: there is none that she may know of.
        Forbidden: it is that of somebody of a higher role, or has, or gets, more scopes than hers.
    """
    one = accounts.key_get(tx, account, key, _alone(who))
    held = {member.person: member.role for member in users.listing(tx, account)}.get(one.person, Role.owner)
    if account == who.account and held > who.role:
        raise Forbidden(f"the key {key} is that of an {held.name}", hint=f"ask an {held.name} of the account")
    if scopes is not None:
        _check_scopes(who.scopes if who.role > Role.member else who.scopes & ~Scope.admin, scopes)
    return one


def _check_scopes(most: Scope, wanted: Scope) -> None:
    lacking = spelled(wanted & ~most & EVERYTHING)
    if lacking:
        raise Forbidden(f"a key can get only what its maker has; that lacks {', '.join(lacking)}",
                        hint="use a key or login with these scopes", scopes=spelled(most))  # fmt: skip


def check(note: str, expires: int, now: int) -> None:
    if len(note) > LONGEST_NOTE or not note.isprintable():
        raise BadRequest(f"a note of {len(note)} characters, or with one that cannot be printed", hint=f"at most {LONGEST_NOTE}")
    if expires and not now < expires < 1 << 52:
        raise BadRequest("a key cannot have expired when it begins", hint="expires is a time to come, in ms since 1970, or 0")


def shown(one: Key, user: str = "") -> Shown:
    return {
        "api_key": one.key, "note": one.note, "active": one.active and one.revoked is None, "scopes": spelled(one.scopes),
        "expires": one.expires, "created": one.created, "user": user, "former_until": one.former_until,
    }  # fmt: skip
