"""API keys that open one address and nothing else.

create(tx, call, now, note, expires) -> (key, secret)     the secret is shown this once
every(tx, call) -> list[Key]
check(tx, account, key) -> int                            the number of its call; NotFound
remove(tx, account, key)                                  NotFound
remove_all(tx, call) -> list[int]                         of an address that goes
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Connection, bindparam, delete, insert, select

from picloud.store import account as accounts
from picloud.store.account import Key
from picloud.store.account.schema import endpoint_key
from picloud.store.call.call import Call
from picloud.store.rows import one, run
from picloud.store.schema import api_key
from picloud.wire.error import NotFound
from picloud.wire.scope import Scope


def create(tx: Connection, call: Call, now: int, note: str = "", expires: int = 0) -> tuple[int, str]:
    """Make a key for an address.

    Args:
        expires: epoch ms; 0 = never.

    Returns:
        Its number, and the secret, which nobody can read again.
    """
    key, secret = accounts.key_create(tx, call.account, now, note, Scope.address, expires=expires)
    tx.execute(insert(endpoint_key), {"api_key": key, "call": call.id})
    return key, secret


def every(tx: Connection, call: Call) -> list[Key]:
    """The keys of an address, the oldest first."""
    known = {row[0] for row in run(tx, _OF, call=call.id).fetchall()}
    return [each for each in accounts.keys(tx, call.account) if each.key in known] if known else []


def check(tx: Connection, account: int, key: int) -> int:
    """The number of the call that a key is for.

    Raises:
        NotFound: no such key of an address of this account.
    """
    row = one(tx, _CALL, key=key, account=account)
    if row is None:
        raise NotFound(f"there is no key {key} of an address", hint="picloud rest keys LABEL")
    return int(row[0])


def remove(tx: Connection, account: int, key: int) -> None:
    """End a key for good.

    Raises:
        NotFound: no such key of an address of this account.
    """
    check(tx, account, key)
    _drop(tx, [key])


def remove_all(tx: Connection, call: int) -> list[int]:
    """End the keys of an address; their numbers."""
    keys = [int(row[0]) for row in run(tx, _OF, call=call).fetchall()]
    _drop(tx, keys)
    return keys


def _drop(tx: Connection, keys: list[int]) -> None:
    for key in keys:
        run(tx, _FORGET, key=key)
        run(tx, _REMOVE, key=key)


_key = bindparam("key", type_=BigInteger)
_OF = select(endpoint_key.c.api_key).where(endpoint_key.c.call == bindparam("call", type_=BigInteger))
_CALL = (
    select(endpoint_key.c.call)
    .join_from(endpoint_key, api_key, api_key.c.id == endpoint_key.c.api_key)
    .where(endpoint_key.c.api_key == _key, api_key.c.account == bindparam("account", type_=BigInteger))
)
_FORGET = delete(endpoint_key).where(endpoint_key.c.api_key == _key)
_REMOVE = delete(api_key).where(api_key.c.id == _key)
