"""Users as a provider of OpenID Connect knows them: by issuer and subject, which never change there.

enter(tx, claimed, proven, joins, now) -> Entered       Forbidden, Conflict
known(tx, issuer, subject) -> int                       the user; 0 = nobody

An e-mail address leads to a user only once, to tie the two together, and only one that the provider has verified. Who has a
password here shows it for that: she may have signed up under an address that nobody has verified, and must not come to share
her account with whom it belongs to.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Connection, select

from picloud.store.account import account as accounts
from picloud.store.account import user as users
from picloud.store.account.account import RESERVED
from picloud.store.account.schema import identity, person
from picloud.store.rows import add, run
from picloud.store.schema import account
from picloud.wire.error import Conflict, Forbidden
from picloud.wire.scope import Role

LONGEST = 255
"""Characters of a subject, by the standard."""
NAMES = 100
"""So many names are tried for somebody new."""


class Claimed(NamedTuple):
    """What a provider says, and has signed."""

    issuer: str
    subject: str
    email: str  # verified, in small letters; "" = none is


class Joins(NamedTuple):
    """Where who is new belongs."""

    account: str  # "" = to an account of her own
    role: Role = Role.owner


class Entered(NamedTuple):
    """Who it is."""

    person: int
    linked: bool  # just now
    created: bool  # just now


def known(tx: Connection, issuer: str, subject: str) -> int:
    """The user who is this at that provider; 0 = nobody."""
    found = select(identity.c.person).where(identity.c.issuer == issuer, identity.c.subject == subject)
    return int(tx.execute(found).scalar_one_or_none() or 0)


def enter(tx: Connection, claimed: Claimed, proven: int, joins: Joins | None, now: int) -> Entered:
    """The user who comes in; tied to what the provider says, or made, where she was not known.

    Args:
        proven: a user whose password was right, who is to be tied; 0 = nobody has shown one.
        joins: where somebody new belongs; None = nobody new comes in.

    Raises:
        Forbidden: nobody is known of that address, or it is not verified.
        Conflict: who has the address has a password, which was not shown; or somebody else is that at the provider.
    """
    number = known(tx, claimed.issuer, claimed.subject)
    if number and proven and number != proven:
        raise Conflict("another user is tied to this login", hint="log in without --link")
    if number:
        return Entered(number, False, False)
    found, created = proven or _by_address(tx, claimed), False
    if not found:
        if joins is None:
            raise Forbidden(
                f"nobody of ours has the address {claimed.email}", hint="ask the owner of the installation for a user"
            )
        found, created = _create(tx, claimed.email, joins, now), True
    run(tx, _LINK, issuer=claimed.issuer, subject=claimed.subject, person=found, created=now)
    if known(tx, claimed.issuer, claimed.subject) != found:  # somebody else was quicker
        raise Conflict("this login was just tied to another user", hint="log in again")
    return Entered(found, True, created)


def _by_address(tx: Connection, claimed: Claimed) -> int:
    if not claimed.email:
        hint = "verify it there, then log in again; or, with a password here, log in with --link"
        raise Forbidden("the provider does not say that your e-mail address is verified", hint=hint)
    row = tx.execute(select(person.c.id, person.c.password).where(person.c.email == claimed.email)).one_or_none()
    if row is None:
        return 0
    if row.password:
        hint = "log in once with that password too: picloud setup URL --oidc --link NAME"
        raise Conflict("there is a user of this e-mail address who has a password", hint=hint)
    return int(row.id)


def _create(tx: Connection, email: str, joins: Joins, now: int) -> int:
    name = _free(tx, users.name_of(email))
    number = users.create(tx, name, email, now)
    place = accounts.by_name(tx, joins.account) if joins.account else accounts.create(tx, name, now)
    users.set_role(tx, place, number, joins.role if joins.account else Role.owner, now)
    return number


def _free(tx: Connection, name: str) -> str:
    """A name like this one that no user and no account has."""
    tries = [name, *(f"{name[:28]}-{at}" for at in range(2, NAMES))]
    taken = set(RESERVED)
    for column in (person.c.name, account.c.name):
        taken |= set(tx.execute(select(column).where(column.in_(tries))).scalars())
    for one in tries:
        if one not in taken:
            return one
    raise Conflict(f"all names like {name!r} are taken", hint="ask the owner of the installation for a user")


_LINK = add(identity)
