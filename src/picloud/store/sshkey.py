"""Public keys that open sessions in running jobs. Private ones are never here.

add(tx, account, key, public, now)              NotFound: not a live key of the account; BadRequest: no public key
listing(tx, account, person=0, key=0) -> list[dict]
remove(tx, account, key, public)                NotFound: there is no such pair
by_public(tx, public, now) -> list[int]         live API keys it belongs to
by_digest(tx, digest, now) -> list[int]         the live API key whose secret has this sha256
account_of(tx, key, now) -> int                 NotAuthorized: it was revoked, is switched off, or has expired

A session runs programs, so a key needs the scope ``code`` for it.
"""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, or_, select

from picloud.store.account.key import live
from picloud.store.account.schema import ssh_key
from picloud.store.schema import account, api_key
from picloud.wire.error import BadRequest, NotAuthorized, NotFound
from picloud.wire.scope import Scope

KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
LONGEST = 4096


def add(tx: Connection, account_id: int, key: int, public: str, now: int) -> None:
    """Let a key pair in, for the jobs of the account; once more changes nothing.

    Raises:
        NotFound: the account has no such live API key.
        BadRequest: that is no public key in OpenSSH's format.
    """
    plain = _plain(public)
    mine = select(api_key.c.id).where(api_key.c.account == account_id, api_key.c.id == key, live(now))
    if tx.execute(mine).one_or_none() is None:
        raise NotFound(f"there is no key {key}")
    known = select(ssh_key.c.created).where(ssh_key.c.public == plain, ssh_key.c.api_key == key)
    if tx.execute(known).one_or_none() is None:
        tx.execute(insert(ssh_key), {"public": plain, "api_key": key, "created": now})


def listing(tx: Connection, account_id: int, person: int = 0, key: int = 0) -> list[dict[str, Any]]:
    """The key pairs of an account, the newest first, as {api_key, public, created}.

    Args:
        person: only those of her keys; 0 = of everybody.
        key: only those of this API key; 0 = of all.
    """
    rows = select(ssh_key.c.api_key, ssh_key.c.public, ssh_key.c.created).join_from(
        ssh_key, api_key, ssh_key.c.api_key == api_key.c.id
    )
    rows = rows.where(api_key.c.account == account_id)
    rows = rows.where(api_key.c.person == person) if person else rows
    rows = rows.where(api_key.c.id == key) if key else rows
    return [dict(row) for row in tx.execute(rows.order_by(ssh_key.c.created.desc(), ssh_key.c.public)).mappings()]


def remove(tx: Connection, account_id: int, key: int, public: str) -> None:
    """Shut a key pair out; who is in by it stays until the edge asks again.

    Raises:
        NotFound: it did not open anything by that API key of the account.
        BadRequest: that is no public key.
    """
    mine = select(api_key.c.id).where(api_key.c.account == account_id, api_key.c.id == key)
    gone = tx.execute(delete(ssh_key).where(ssh_key.c.public == _plain(public), ssh_key.c.api_key.in_(mine)))
    if not gone.rowcount:
        raise NotFound(f"that key pair is none of key {key}")


def by_public(tx: Connection, public: str, now: int) -> list[int]:
    """The live API keys that a public key belongs to, oldest first."""
    rows = select(api_key.c.id).join_from(ssh_key, api_key, ssh_key.c.api_key == api_key.c.id)
    found = rows.where(ssh_key.c.public == public, _enters(now)).order_by(api_key.c.created, api_key.c.id)
    return [int(key) for key in tx.execute(found).scalars()]


def by_digest(tx: Connection, digest: bytes, now: int) -> list[int]:
    """The live API keys that have the secret with this sha256, which no guess comes near."""
    former = and_(api_key.c.former_hash == digest, api_key.c.former_until > now)
    found = select(api_key.c.id).where(or_(api_key.c.secret_hash == digest, former), _enters(now))
    return [int(key) for key in tx.execute(found).scalars()]


def account_of(tx: Connection, key: int, now: int) -> int:
    """The account of a live API key.

    Raises:
        NotAuthorized: it was revoked, is switched off, as may be its account, has expired, may not run code, or never was.
    """
    found = tx.execute(select(api_key.c.account).where(api_key.c.id == key, _enters(now))).scalar_one_or_none()
    if found is None:
        raise NotAuthorized(f"the API key {key} opens no session any more", hint="use another one with the scope code")
    return int(found)


def _enters(now: int) -> ColumnElement[bool]:
    on = select(account.c.id).where(account.c.id == api_key.c.account, account.c.active == 1).exists()
    return and_(live(now), api_key.c.scopes.bitwise_and(int(Scope.code)) != 0, on)


def _plain(public: str) -> str:
    """Kind and bytes of a public key, without its comment."""
    words = public.split()
    try:
        if len(public) <= LONGEST and len(words) >= 2 and words[0] in KINDS:
            data = base64.b64decode(words[1], validate=True)
            (size,) = struct.unpack_from(">I", data)
            if data[4 : 4 + size] == words[0].encode() and len(data) > 4 + size:
                return f"{words[0]} {words[1]}"
    except (binascii.Error, struct.error, ValueError):
        pass
    raise BadRequest("that is no public key", hint="one line of OpenSSH's format, such as: ssh-ed25519 AAAA..")
