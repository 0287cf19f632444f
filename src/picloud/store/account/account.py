"""Accounts: the owners of everything."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct
from sqlalchemy import BigInteger, Connection, bindparam, select, update

from picloud.store.rows import add, constant, one, run
from picloud.store.schema import account
from picloud.wire.error import BadRequest, Conflict, NotFound

NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
RESERVED = frozenset({"picloud", "base", "host", "admin", "root"})
"""Names that would be taken for the platform's own."""


class Account(Struct, frozen=True):
    """An owner."""

    id: int
    name: str
    weight: int  # share of the machine against other accounts
    created: int
    active: bool


def create(tx: Connection, name: str, now: int) -> int:
    """Make an account.

    Raises:
        BadRequest: the name is not short and plain, or reserved.
        Conflict: the name is taken.
    """
    if not NAME.fullmatch(name):
        raise BadRequest(f"{name!r} is no account name", hint="a letter, then letters, digits, - or _; at most 32")
    if name in RESERVED:
        raise BadRequest(f"the name {name!r} is reserved", hint="take another one")
    if not run(tx, _CREATE, name=name, weight=1, created=now).rowcount:
        raise Conflict(f"there is an account {name!r} already", hint="take another name")
    return by_name(tx, name)


def by_name(tx: Connection, name: str) -> int:
    """The id of the account.

    Raises:
        NotFound: there is none of that name.
    """
    found = tx.execute(select(account.c.id).where(account.c.name == name)).scalar_one_or_none()
    if found is None:
        raise NotFound(f"there is no account {name!r}")
    return int(found)


def get(tx: Connection, account_id: int) -> Account:
    """The account of that id.

    Raises:
        NotFound: there is none.
    """
    row = tx.execute(_ROWS.where(account.c.id == account_id)).one_or_none()
    if row is None:
        raise NotFound(f"there is no account {account_id}")
    return _account(row)


def every(tx: Connection) -> list[Account]:
    """All accounts but those that are removed, oldest first."""
    return [_account(row) for row in tx.execute(_ROWS.where(account.c.gone == 0).order_by(account.c.id))]


def closed(tx: Connection) -> set[int]:
    """The accounts that are switched off, and those that are removed."""
    return set(tx.execute(select(account.c.id).where(account.c.active == 0)).scalars())


def switch(tx: Connection, account_id: int, active: bool) -> None:
    """Switch an account off, or on again: its keys and sessions open nothing, and nothing of it begins, as long as it is off.

    Raises:
        NotFound: there is none.
    """
    if not tx.execute(update(account).where(account.c.id == account_id).values(active=int(active))).rowcount:
        raise NotFound(f"there is no account {account_id}")


def check_active(tx: Connection, account_id: int) -> None:
    """Refuse to begin anything for an account that is switched off or gone.

    Raises:
        NotFound: it is.
    """
    if one(tx, _ACTIVE, account=account_id) is None:
        raise NotFound("this account is switched off, or gone", hint="the owner of the installation switches it on again")


def _account(row: Any) -> Account:
    number, name, weight, created, active = row
    return Account(number, name, weight, created, bool(active))


_ACTIVE = select(account.c.id).where(account.c.id == bindparam("account", type_=BigInteger), account.c.active == constant(1))
_ROWS = select(account.c.id, account.c.name, account.c.weight, account.c.created, account.c.active)
_CREATE = add(account)
