"""Public keys that open sessions in running jobs. Private ones are never here.

add(tx, account, key, public, now)              NotFound: not a live key of the account; BadRequest: no public key
by_public(tx, public) -> list[int]              live API keys it belongs to
by_secret(tx, secret) -> list[int]              the live API key that has this secret
account_of(tx, key) -> int                      NotAuthorized: it was revoked
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct

from sqlalchemy import Connection, insert, select

from picloud.store.schema import api_key, ssh_key
from picloud.wire.error import BadRequest, NotAuthorized, NotFound

KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
LONGEST = 4096


def add(tx: Connection, account_id: int, key: int, public: str, now: int) -> None:
    """Let a key pair in, for the jobs of the account; once more changes nothing.

    Raises:
        NotFound: the account has no such live API key.
        BadRequest: that is no public key in OpenSSH's format.
    """
    plain = _plain(public)
    mine = select(api_key.c.id).where(api_key.c.account == account_id, api_key.c.id == key, api_key.c.revoked.is_(None))
    if tx.execute(mine).one_or_none() is None:
        raise NotFound(f"there is no key {key}")
    known = select(ssh_key.c.created).where(ssh_key.c.public == plain, ssh_key.c.api_key == key)
    if tx.execute(known).one_or_none() is None:
        tx.execute(insert(ssh_key), {"public": plain, "api_key": key, "created": now})


def by_public(tx: Connection, public: str) -> list[int]:
    """The live API keys that a public key belongs to, oldest first."""
    rows = select(api_key.c.id).join_from(ssh_key, api_key, ssh_key.c.api_key == api_key.c.id)
    found = rows.where(ssh_key.c.public == public, api_key.c.revoked.is_(None)).order_by(api_key.c.created, api_key.c.id)
    return [int(key) for key in tx.execute(found).scalars()]


def by_secret(tx: Connection, secret: str) -> list[int]:
    """The live API keys that have this secret; it is looked up by its digest, which no guess comes near."""
    digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
    found = select(api_key.c.id).where(api_key.c.secret_hash == digest, api_key.c.revoked.is_(None))
    return [int(key) for key in tx.execute(found).scalars()]


def account_of(tx: Connection, key: int) -> int:
    """The account of a live API key.

    Raises:
        NotAuthorized: it was revoked, or never was.
    """
    found = tx.execute(select(api_key.c.account).where(api_key.c.id == key, api_key.c.revoked.is_(None))).scalar_one_or_none()
    if found is None:
        raise NotAuthorized(f"the API key {key} was revoked", hint="log in with another one")
    return int(found)


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
