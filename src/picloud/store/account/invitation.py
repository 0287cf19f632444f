"""Links that work once, for a time: they invite somebody, or let a user set a password.

invite(tx, account, role, email, now, lifetime_ms) -> token     account 0: to an account of one's own
reset(tx, person, now, lifetime_ms) -> token
asked_since(tx, person, since) -> bool              whether a link was made for a user
take(tx, token, now) -> Invitation                  once; NotAuthorized
sign_up(tx, wish, invitation, now) -> Joined        BadRequest, Conflict, NotAuthorized
"""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import Connection, delete, insert, select

from picloud.store.account import account as accounts
from picloud.store.account import user as users
from picloud.store.account.key import key_create
from picloud.store.account.schema import invitation
from picloud.store.account.secret import digest, new
from picloud.wire.error import NotAuthorized
from picloud.wire.scope import EVERYTHING, USUAL, Role


class Invitation(Struct, frozen=True):
    """What a link opens."""

    person: int = 0  # whose password it sets; 0 = it invites
    account: int = 0  # to this account; 0 = to one of one's own
    role: Role = Role.owner
    email: str = ""  # only under this address


class Wish(Struct, frozen=True):
    """Who wants in."""

    name: str
    email: str
    password: str  # its argon2id
    person: int = 0  # a user already, whose password was right


class Joined(Struct, frozen=True):
    """Who came in, and the first key."""

    person: int
    account: int
    founded: bool  # the account was made by it
    role: Role
    key: int
    secret: str


def invite(tx: Connection, account_id: int, role: Role, email: str, now: int, lifetime_ms: int) -> str:
    """A link's secret: for who may join an account, or, with 0, make one."""
    return _enter(tx, now, lifetime_ms, account=account_id, role=int(role), email=users.address(email) if email else "")


def reset(tx: Connection, number: int, now: int, lifetime_ms: int) -> str:
    """A link's secret: for who may set this user's password."""
    return _enter(tx, now, lifetime_ms, person=number, role=int(Role.member))


def asked_since(tx: Connection, number: int, since: int) -> bool:
    """Whether a link for this user's password was made since then (epoch ms) and is not used."""
    found = select(invitation.c.created).where(invitation.c.person == number, invitation.c.created > since)
    return tx.execute(found).first() is not None


def take(tx: Connection, token: str, now: int) -> Invitation:
    """Use up a link.

    Raises:
        NotAuthorized: unknown, used or expired.
    """
    used = delete(invitation).where(invitation.c.hash == digest(token), invitation.c.expires > now)
    columns = (invitation.c.person, invitation.c.account, invitation.c.role, invitation.c.email)
    row = tx.execute(used.returning(*columns)).one_or_none()
    if row is None:
        raise NotAuthorized("this link was used or is too old", hint="ask for a fresh one")
    return Invitation(row.person, row.account, Role(row.role), row.email)


def sign_up(tx: Connection, wish: Wish, token: str, now: int) -> Joined:
    """Let somebody in: a user, a place in an account, a key for it. ``token`` is that of an invitation; "" = the door is open.

    Raises:
        NotAuthorized: the link was used or is too old, or is for another address.
        BadRequest, Conflict: of the name or the address.
    """
    found = take(tx, token, now) if token else Invitation()
    if found.person:
        raise NotAuthorized("this link sets a password and invites nobody", hint="use it under `picloud password`")
    if found.email and users.address(wish.email) != found.email:
        raise NotAuthorized("this link is for another e-mail address", hint="use the address that it was sent to")
    number = wish.person or users.create(tx, wish.name, wish.email, now, wish.password)
    account_id = found.account or accounts.create(tx, wish.name, now)
    held = [one.role for one in users.memberships(tx, number) if one.account == account_id]
    role = max([found.role, *held])
    users.set_role(tx, account_id, number, role, now)
    scopes = USUAL if role is Role.member else EVERYTHING
    key, secret = key_create(tx, account_id, now, "sign-up", scopes, person=number)
    return Joined(number, account_id, not found.account, role, key, secret)


def _enter(tx: Connection, now: int, lifetime_ms: int, **values: object) -> str:
    made = new()
    tx.execute(insert(invitation), {"hash": digest(made), "created": now, "expires": now + lifetime_ms, **values})
    return made
