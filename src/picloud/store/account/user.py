"""Users: a name, an e-mail address, a password, and a role in each account they belong to.

create(tx, name, email, now, password="") -> int    BadRequest: no name or address; Conflict: taken
owner(tx, account, name, now)                       the user who owns the installation, made where there is none
find(tx, login) -> User                             by name or address; NotFound
get(tx, person) -> User                             NotFound
listing(tx, account=0) -> list[Member]              of one account or of all
set_password(tx, person, password, now)             ends what was logged in by the old one
rehash(tx, person, known, renewed) -> bool          the same password, kept in a better way
memberships(tx, person) -> list[Member]             the oldest first
set_role(tx, account, person, role, now)            None = out; Conflict: the account would be without an owner
"""

from __future__ import annotations

import re

from msgspec import Struct
from sqlalchemy import Connection, delete, or_, select, update

from picloud.store.account.account import NAME, RESERVED
from picloud.store.account.schema import invitation, membership, person
from picloud.store.rows import add, run
from picloud.store.schema import account, api_key, login
from picloud.wire.error import BadRequest, Conflict, NotFound
from picloud.wire.scope import Role

ADDRESS = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,189}")


class User(Struct, frozen=True):
    """A row, without what must not be shown."""

    id: int
    name: str
    email: str
    password: str  # its argon2id; "" = none was set
    created: int


class Member(Struct, frozen=True):
    """A user in an account."""

    person: int
    name: str
    email: str
    account: int
    account_name: str
    role: Role
    password: bool  # whether one was set
    created: int


def address(email: str) -> str:
    """An e-mail address as it is kept; two that differ in capitals are one.

    Raises:
        BadRequest: it is none.
    """
    plain = email.strip().lower()
    if not plain.isprintable() or not ADDRESS.fullmatch(plain):
        raise BadRequest(f"{email[:80]!r} is no e-mail address", hint="for example anna@example.org")
    return plain


def name_of(email: str) -> str:
    """A user name made from an e-mail address."""
    return re.sub(r"[^a-z0-9_-]", "-", re.sub(r"^[^a-z]+", "", email.partition("@")[0].lower()))[:32].rstrip("-") or "user"


def create(tx: Connection, name: str, email: str, now: int, password: str = "") -> int:
    """Make a user.

    Args:
        name: short and plain, as an account's.
        email: "" = none.
        password: its argon2id; "" = none yet.

    Raises:
        BadRequest: the name or the address cannot be.
        Conflict: one of them is taken.
    """
    if not NAME.fullmatch(name) or name in RESERVED:
        raise BadRequest(f"{name[:80]!r} is no user name", hint="a letter, then letters, digits, - or _; at most 32")
    made = run(tx, _CREATE, name=name, email=address(email) if email else "", password=password, created=now, changed=now)
    if not made.rowcount:
        raise Conflict("there is a user of that name or e-mail address already", hint="another name, or a reset link")
    return find(tx, name).id


def owner(tx: Connection, account_id: int, name: str, now: int) -> None:
    """See to it that an account has an owner: a user of this name, without a password until she sets one."""
    has = select(membership.c.person).where(membership.c.account == account_id, membership.c.role == Role.owner)
    if tx.execute(has).first() is not None:
        return
    known = tx.execute(select(person.c.id).where(person.c.name == name)).scalar_one_or_none()
    set_role(tx, account_id, known or create(tx, name, "", now), Role.owner, now)


def find(tx: Connection, name: str) -> User:
    """A user by name or e-mail address.

    Raises:
        NotFound: there is none.
    """
    plain = name.strip().lower()
    same = or_(person.c.name == plain, person.c.email == plain) if plain else person.c.id < 0
    row = tx.execute(_USERS.where(same)).one_or_none() if "\0" not in plain else None
    if row is None:
        raise NotFound(f"there is no user {name[:80]!r}", hint="picloud admin user list")
    return User(*row)


def get(tx: Connection, number: int) -> User:
    """A user by number.

    Raises:
        NotFound: there is none.
    """
    row = tx.execute(_USERS.where(person.c.id == number)).one_or_none()
    if row is None:
        raise NotFound("there is no such user")
    return User(*row)


def listing(tx: Connection, account_id: int = 0) -> list[Member]:
    """The members of an account, or of all."""
    rows = _MEMBERS.where(membership.c.account == account_id) if account_id else _MEMBERS
    return [_member(row) for row in tx.execute(rows.order_by(membership.c.account, person.c.id))]


def memberships(tx: Connection, number: int) -> list[Member]:
    """What a user is, and where, but for accounts that are switched off; first where she is the owner, then the oldest."""
    rows = _MEMBERS.where(membership.c.person == number, account.c.active == 1)
    return [
        _member(row) for row in tx.execute(rows.order_by(membership.c.role.desc(), membership.c.created, membership.c.account))
    ]


def set_password(tx: Connection, number: int, password: str, now: int) -> None:
    """Set the argon2id of a user's password. Whoever was logged in as this user is out, and links to set it are void."""
    tx.execute(update(person).where(person.c.id == number).values(password=password, changed=now))
    tx.execute(delete(login).where(login.c.person == number))
    tx.execute(delete(invitation).where(invitation.c.person == number))


def rehash(tx: Connection, number: int, known: str, renewed: str) -> bool:
    """Keep the same password as another argon2id, unless it was changed meanwhile; whether it is still the same."""
    same = update(person).where(person.c.id == number, person.c.password == known)
    return bool(tx.execute(same.values(password=renewed)).rowcount)


def set_role(tx: Connection, account_id: int, number: int, role: Role | None, now: int) -> list[int]:
    """Make a user this in an account; None takes her out, with her keys for it switched off.

    Returns:
        Her keys for the account, for what they open may have changed.

    Raises:
        Conflict: nobody would own the account.
    """
    rows = select(membership.c.person, membership.c.role).where(membership.c.account == account_id).with_for_update()
    found = {row.person: row.role for row in tx.execute(rows.order_by(membership.c.person))}
    owners = {member for member, held in found.items() if held == Role.owner}
    if owners == {number} and role is not Role.owner:
        raise Conflict("an account has an owner, and this is the only one", hint="make another user its owner first")
    mine = [membership.c.account == account_id, membership.c.person == number]
    keys = [api_key.c.account == account_id, api_key.c.person == number]
    if role is None:
        tx.execute(delete(membership).where(*mine))
        tx.execute(update(api_key).where(*keys).values(active=0))
        tx.execute(delete(login).where(login.c.account == account_id, login.c.person == number))
    else:
        run(tx, _JOIN, account=account_id, person=number, role=int(role), created=now)
        tx.execute(update(membership).where(*mine).values(role=int(role)))
    return [int(key) for key in tx.execute(select(api_key.c.id).where(*keys)).scalars()]


def _member(row: tuple[object, ...]) -> Member:
    number, name, email, account_id, account_name, role, password, created = row
    return Member(number, name, email, account_id, account_name, Role(role), bool(password), created)  # type: ignore[arg-type]


_CREATE = add(person)
_JOIN = add(membership)
_USERS = select(person.c.id, person.c.name, person.c.email, person.c.password, person.c.created)
_MEMBERS = select(
    person.c.id, person.c.name, person.c.email, account.c.id, account.c.name, membership.c.role, person.c.password,
    membership.c.created,
).select_from(
    membership.join(person, person.c.id == membership.c.person).join(account, account.c.id == membership.c.account)
)  # fmt: skip
