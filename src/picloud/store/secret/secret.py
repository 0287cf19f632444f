"""Secrets by name.

put(tx, account, name, sealed, now)                 one of that name is replaced
check(tx, account, names)                           NotFound
sealed(tx, account, names) -> dict[name, Sealed]    those that are there
every(tx, account) -> list[Secret]
remove(tx, account, name)                           NotFound
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, Text, bindparam, delete, insert, select, update

from picloud.store.base import near
from picloud.store.rows import Listed, as_list, from_json, gathered, listing, one, run, to_json
from picloud.store.secret.schema import secret
from picloud.wire.error import Conflict, NotFound
from picloud.wire.secret import MOST_SECRETS


class Sealed(NamedTuple):
    """Values that only the vault opens."""

    variables: list[str]
    key: str
    data: bytes


class Secret(NamedTuple):
    """All that is shown of one."""

    name: str
    variables: list[str]
    key: str
    created: int  # epoch ms
    changed: int


def put(tx: Connection, account: int, name: str, values: Sealed, now: int) -> None:
    """Keep values under a name, in the place of those that were there.

    Raises:
        Conflict: the account has as many as it may.
    """
    row = {"variables": to_json(values.variables).decode(), "key": values.key, "data": values.data, "changed": now}
    found = one(tx, _LOCK, account=account, name=name)
    if found is not None:
        tx.execute(update(secret).where(secret.c.id == found[0]).values(row))
        return
    if len(every(tx, account)) >= MOST_SECRETS:
        raise Conflict(f"an account has at most {MOST_SECRETS} secrets", hint="one secret holds several variables")
    tx.execute(insert(secret), {"account": account, "name": name, "created": now, **row})


def check(tx: Connection, account: int, names: list[str]) -> None:
    """Refuse names of which there is no secret.

    Raises:
        NotFound: telling the first.
    """
    if not names:
        return
    known: list[str] = listing(tx, _NAMES, account=account)
    for name in names:
        if name not in known:
            raise NotFound(f"there is no secret {name!r}", hint=near(name, known, "picloud secret list shows them"), secret=name)


def sealed(tx: Connection, account: int, names: list[str]) -> dict[str, Sealed]:
    """Those secrets among the names that are there."""
    rows = run(tx, _SEALED, account=account, names=as_list(names)).fetchall()
    return {name: Sealed(from_json(variables), key, bytes(data)) for name, variables, key, data in rows}


def every(tx: Connection, account: int) -> list[Secret]:
    """All of an account, by name."""
    rows = run(tx, _EVERY, account=account).fetchall()
    return [Secret(name, from_json(variables), key, created, changed) for name, variables, key, created, changed in rows]


def remove(tx: Connection, account: int, name: str) -> None:
    """Forget one. Attempts that have begun keep what they were given.

    Raises:
        NotFound: there is none of that name.
    """
    check(tx, account, [name])
    run(tx, _REMOVE, account=account, name=name)


_of = secret.c.account == bindparam("account", type_=BigInteger)
_named = secret.c.name == bindparam("name", type_=Text)
_names = Listed("names")
_LOCK = select(secret.c.id).where(_of, _named).with_for_update()
_NAMES = select(gathered(select(secret.c.name).where(_of).order_by(secret.c.name).subquery().c.name))
_SEALED = select(secret.c.name, secret.c.variables, secret.c.key, secret.c.data).where(
    _of, secret.c.name.in_(_names.chosen(Text))
)
_EVERY = (
    select(secret.c.name, secret.c.variables, secret.c.key, secret.c.created, secret.c.changed).where(_of).order_by(secret.c.name)
)
_REMOVE = delete(secret).where(_of, _named)
