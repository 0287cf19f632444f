"""API keys: a number and a secret, with what they may do and for how long."""

from __future__ import annotations

import hmac
import secrets
from typing import Any

from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, Connection, and_, bindparam, delete, insert, or_, select, update

from picloud.store.account.schema import endpoint_key, membership
from picloud.store.account.secret import digest
from picloud.store.rows import one
from picloud.store.schema import account, api_key, login
from picloud.wire.error import NotAuthorized, NotFound
from picloud.wire.scope import EVERYTHING, USUAL, Role, Scope


class Key(Struct, frozen=True):
    """A key without its secret."""

    key: int
    note: str
    active: bool
    expires: int  # epoch ms; 0 = never
    scopes: Scope
    person: int  # whose it is; 0 = the account's own
    created: int
    former_until: int  # how long the secret before the last rotation still works
    revoked: int | None = None

    def is_live(self, now: int) -> bool:
        """Whether it may be used."""
        return self.active and self.revoked is None and (not self.expires or now < self.expires)


class Shown(Struct, frozen=True):
    """Who has shown a key or a token, and what it opens."""

    id: int  # of the account
    name: str
    scopes: Scope = EVERYTHING
    until: int = 0  # epoch ms at which it ends by itself; 0 = never
    key: int = 0
    person: int = 0
    role: Role = Role.owner
    call: int = 0  # the published call that alone is open; 0 = what the scopes say


class Change(Struct, frozen=True):
    """What shall be different about a key; None = as it is."""

    note: str | None = None
    active: bool | None = None
    expires: int | None = None
    scopes: int | None = None


def live(now: int) -> ColumnElement[bool]:
    """The condition that a key may be used."""
    lasting = or_(api_key.c.expires == 0, api_key.c.expires > now)
    return and_(api_key.c.revoked.is_(None), api_key.c.active == 1, lasting)


def key_create(
    tx: Connection, account_id: int, now: int, note: str = "", scopes: int = USUAL, *, expires: int = 0, person: int = 0
) -> tuple[int, str]:
    """Make an API key: its number, and the secret, which nobody can read again."""
    number, secret = secrets.randbelow(9_000_000) + 1_000_000, secrets.token_hex(20)
    while key_known(tx, number):
        number = secrets.randbelow(9_000_000_000) + 1_000_000_000
    tx.execute(insert(api_key), {"id": number, "account": account_id, "secret_hash": digest(secret), "note": note,
                                 "created": now, "scopes": int(scopes), "expires": expires, "person": person})  # fmt: skip
    return number, secret


def key_check(tx: Connection, key: int, secret: str, now: int) -> Shown:
    """Who shows this key and secret.

    Raises:
        NotAuthorized: unknown key or wrong secret, which one is not told; or a right one that was ended, is switched off or
            has expired.
    """
    row = one(tx, _CHECK, key=key) if 0 <= key < 1 << 62 else None
    wanted, former, until = (bytes(row[0]), bytes(row[1] or b""), row[2]) if row else (bytes(32), b"", 0)
    given = digest(secret)
    current, earlier = hmac.compare_digest(wanted, given), hmac.compare_digest(former, given)
    if row is None or not (current or (earlier and now < until)):
        raise NotAuthorized("the API key or its secret is wrong", hint="run `picloud setup`")
    revoked, active, expires, scopes, person, role, account_id, name, call, account_active = row[3:]
    if not account_active:
        raise NotAuthorized(f"the account {name} is switched off", hint="ask the owner of the installation")
    if revoked is not None or not active or (person and role is None):
        raise NotAuthorized(f"the API key {key} is switched off", hint="picloud keys activate, by another key, switches it on")
    if expires and now >= expires:
        raise NotAuthorized(f"the API key {key} has expired", hint="picloud keys create makes a new one")
    ends = min(end for end in (expires, 0 if current else until) if end) if expires or not current else 0
    opened = Scope.address if call else allowed(scopes, role or Role.owner)
    return Shown(account_id, name, opened, ends, key, person, Role(role or Role.owner), call or 0)


def allowed(scopes: int, role: int) -> Scope:
    """What a key with these scopes may do in the hands of who has this role."""
    return Scope(scopes) if role > Role.member else Scope(scopes) & ~Scope.admin


def key_known(tx: Connection, key: int) -> bool:
    """Whether a key, of whatever account, is one of this installation."""
    return 0 <= key < 1 << 62 and tx.execute(select(api_key.c.id).where(api_key.c.id == key)).one_or_none() is not None


def keys(tx: Connection, account_id: int, person: int = 0) -> list[Key]:
    """The account's keys, oldest first, those that were revoked too.

    Args:
        person: only those of this user.
    """
    mine = and_(api_key.c.account == account_id, api_key.c.person == person if person else api_key.c.account == account_id)
    return [_made(row) for row in tx.execute(_KEYS.where(mine).order_by(api_key.c.created, api_key.c.id))]


def key_get(tx: Connection, account_id: int, key: int, person: int = 0) -> Key:
    """One key of the account.

    Args:
        person: it must be this user's.

    Raises:
        NotFound: there is none.
    """
    row = tx.execute(_KEYS.where(api_key.c.account == account_id, api_key.c.id == key)).one_or_none() if key < 1 << 62 else None
    if row is None or (person and row.person != person):
        raise NotFound(f"there is no key {key}", hint="picloud keys list")
    return _made(row)


def key_change(tx: Connection, account_id: int, key: int, change: Change) -> None:
    """Change what is given; logins that were made by a key which is switched off end.

    Raises:
        NotFound: the account has no such live key.
    """
    values = {name: int(value) if isinstance(value, bool) else value
              for name in Change.__struct_fields__ if (value := getattr(change, name)) is not None}  # fmt: skip
    if not tx.execute(_mine(account_id, key).values(id=api_key.c.id, **values)).rowcount:
        raise NotFound(f"there is no key {key}", hint="picloud keys list")
    if len(values.keys() - {"note"}):
        _end_logins(tx, key)


def key_rotate(tx: Connection, account_id: int, key: int, now: int, overlap_ms: int = 0) -> str:
    """A new secret for a key; the one that it had works for so long beside it.

    Raises:
        NotFound: the account has no such live key.
    """
    secret = secrets.token_hex(20)
    changed = _mine(account_id, key).values(former_hash=api_key.c.secret_hash, former_until=now + overlap_ms,
                                            secret_hash=digest(secret))  # fmt: skip
    if not tx.execute(changed).rowcount:
        raise NotFound(f"there is no key {key}", hint="picloud keys list")
    _end_logins(tx, key)
    return secret


def key_revoke(tx: Connection, account_id: int, key: int, now: int) -> None:
    """End a key for good.

    Raises:
        NotFound: the account has no such key.
    """
    if not tx.execute(_mine(account_id, key).values(revoked=now)).rowcount:
        raise NotFound(f"there is no key {key}", hint="picloud keys list")
    _end_logins(tx, key)


def _mine(account_id: int, key: int) -> Any:
    return update(api_key).where(api_key.c.account == account_id, api_key.c.id == key, api_key.c.revoked.is_(None))


def _end_logins(tx: Connection, key: int) -> None:
    tx.execute(delete(login).where(login.c.api_key == key))


def _made(row: Any) -> Key:
    return Key(row.id, row.note, bool(row.active), row.expires, Scope(row.scopes), row.person, row.created,
               row.former_until, row.revoked)  # fmt: skip


_KEYS = select(api_key)
_CHECK = (
    select(
        api_key.c.secret_hash,
        api_key.c.former_hash,
        api_key.c.former_until,
        api_key.c.revoked,
        api_key.c.active,
        api_key.c.expires,
        api_key.c.scopes,
        api_key.c.person,
        membership.c.role,
        account.c.id,
        account.c.name,
        endpoint_key.c.call,
        account.c.active,
    )  # fmt: skip
    .select_from(
        api_key.join(account, account.c.id == api_key.c.account)
        .outerjoin(membership, and_(membership.c.account == api_key.c.account, membership.c.person == api_key.c.person))
        .outerjoin(endpoint_key, endpoint_key.c.api_key == api_key.c.id)
    )
    .where(api_key.c.id == bindparam("key", type_=BigInteger))
)
