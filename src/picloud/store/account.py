"""Accounts, their API keys, and the tickets that let a browser in.

    create(tx, name, now) -> int                        BadRequest: bad or reserved name; Conflict: taken
    by_name(tx, name) -> int                            NotFound
    get(tx, account) -> Account                         NotFound
    every(tx) -> list[Account]
    key_create(tx, account, now, label="") -> (key, secret)     the secret is shown this once
    key_check(tx, key, secret) -> Account               NotAuthorized
    key_known(tx, key) -> bool
    keys(tx, account) -> list[dict]
    key_revoke(tx, account, key, now)                   NotFound
    ticket_create(tx, account, now, lifetime_ms) -> ticket
    ticket_redeem(tx, ticket, now, lifetime_ms) -> token        once; NotAuthorized
    token_check(tx, token, now) -> Account              NotAuthorized
    expire(tx, now)                                     removes old tickets and tokens

Secrets are random, kept only as sha256 and compared in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import Any

from msgspec import Struct
from sqlalchemy import BigInteger, Connection, bindparam, delete, insert, select, update

from picloud.store.rows import add, run
from picloud.store.schema import account, api_key, login
from picloud.wire.error import BadRequest, Conflict, NotAuthorized, NotFound

NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
RESERVED = frozenset({"picloud", "base", "host", "admin", "root"})
"""Names that would be taken for the platform's own."""


class Account(Struct, frozen=True):
    """An owner."""

    id: int
    name: str
    weight: int  # share of the machine against other accounts
    created: int


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
    return Account(*row)


def every(tx: Connection) -> list[Account]:
    """All accounts, oldest first."""
    return [Account(*row) for row in tx.execute(_ROWS.order_by(account.c.id))]


def key_create(tx: Connection, account_id: int, now: int, label: str = "") -> tuple[int, str]:
    """Make an API key: its number, and the secret, which nobody can read again."""
    number, secret = secrets.randbelow(9_000_000) + 1_000_000, secrets.token_hex(20)
    while tx.execute(_KEY, {"key": number}).one_or_none() is not None:
        number = secrets.randbelow(9_000_000_000) + 1_000_000_000
    tx.execute(insert(api_key), {"id": number, "account": account_id, "secret_hash": _hash(secret), "label": label,
                                 "created": now})  # fmt: skip
    return number, secret


def key_check(tx: Connection, key: int, secret: str) -> Account:
    """Who shows this key and secret.

    Raises:
        NotAuthorized: unknown key, wrong secret, or revoked; which one is not told.
    """
    row = tx.execute(_KEY, {"key": key}).one_or_none() if 0 <= key < 1 << 62 else None
    if not hmac.compare_digest(row.secret_hash if row else bytes(32), _hash(secret)) or row is None or row.revoked:
        raise NotAuthorized("the API key or its secret is wrong", hint="run `picloud setup`")
    return Account(*row[:4])


def key_known(tx: Connection, key: int) -> bool:
    """Whether a key, of whatever account, is one of this installation."""
    return 0 <= key < 1 << 62 and tx.execute(_KEY, {"key": key}).one_or_none() is not None


def keys(tx: Connection, account_id: int) -> list[dict[str, Any]]:
    """The account's keys, without secrets: key, label, created, revoked (epoch ms or None)."""
    rows = select(api_key.c.id.label("key"), api_key.c.label, api_key.c.created, api_key.c.revoked)
    found = tx.execute(rows.where(api_key.c.account == account_id).order_by(api_key.c.created, api_key.c.id))
    return [dict(row) for row in found.mappings()]


def key_revoke(tx: Connection, account_id: int, key: int, now: int) -> None:
    """End a key.

    Raises:
        NotFound: the account has no such key.
    """
    mine = update(api_key).where(api_key.c.account == account_id, api_key.c.id == key, api_key.c.revoked.is_(None))
    if not tx.execute(mine.values(revoked=now)).rowcount:
        raise NotFound(f"there is no key {key}")


def ticket_create(tx: Connection, account_id: int, now: int, lifetime_ms: int) -> str:
    """A ticket that can be redeemed once, for so long."""
    return _enter(tx, account_id, 0, now + lifetime_ms)


def ticket_redeem(tx: Connection, ticket: str, now: int, lifetime_ms: int) -> str:
    """A token, valid for so long, in exchange for a ticket.

    Raises:
        NotAuthorized: unknown, used or expired.
    """
    used = delete(login).where(login.c.hash == _hash(ticket), login.c.session == 0, login.c.expires > now)
    found = tx.execute(used.returning(login.c.account)).scalar_one_or_none()
    if found is None:
        raise NotAuthorized("this login link was used or is too old", hint="`picloud status --login` prints a fresh one")
    return _enter(tx, found, 1, now + lifetime_ms)


def token_check(tx: Connection, token: str, now: int) -> Account:
    """Who shows this token.

    Raises:
        NotAuthorized: unknown or expired.
    """
    row = tx.execute(_TOKEN, {"hash": _hash(token), "now": now}).one_or_none()
    if row is None:
        raise NotAuthorized("the session has ended", hint="log in again")
    return Account(*row)


def expire(tx: Connection, now: int) -> int:
    """Remove what has expired; how much."""
    return tx.execute(delete(login).where(login.c.expires <= now)).rowcount


def _enter(tx: Connection, account_id: int, session: int, expires: int) -> str:
    made = secrets.token_urlsafe(32)
    tx.execute(insert(login), {"hash": _hash(made), "account": account_id, "session": session, "expires": expires})
    return made


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


_ROWS = select(account.c.id, account.c.name, account.c.weight, account.c.created)
_CREATE = add(account)
_KEY = (
    select(account.c.id, account.c.name, account.c.weight, account.c.created, api_key.c.secret_hash, api_key.c.revoked)
    .join_from(api_key, account, account.c.id == api_key.c.account)
    .where(api_key.c.id == bindparam("key", type_=BigInteger))
)
_TOKEN = _ROWS.join_from(login, account, account.c.id == login.c.account).where(
    login.c.hash == bindparam("hash"), login.c.session == 1, login.c.expires > bindparam("now", type_=BigInteger)
)
