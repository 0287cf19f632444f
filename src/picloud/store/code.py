"""Code that jobs need: pickled functions and packed modules, once an account, by sha256.

missing(tx, account, digests, have, brought: list[Code], now) -> list[str]    stores what was brought; what still lacks
HAVE                                                                    a query: those of ``digests`` that ``account`` has
put(tx, account, brought: list[Code], now)                              BadRequest where a digest is wrong
get(tx, account, digest) -> Code                                        NotFound
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from sqlalchemy import Connection, Text, bindparam, select

from picloud.store.rows import Listed, add, from_json, gathered, text, to_json
from picloud.store.schema import code
from picloud.wire.error import BadRequest, NotFound
from picloud.wire.message import Code


def missing(tx: Connection, account: int, digests: list[str], have: Iterable[str], brought: list[Code], now: int) -> list[str]:
    """Store the pieces among ``brought`` that are new; the digests that the account still lacks.

    Args:
        have: what :data:`HAVE` found of ``digests``.

    Raises:
        BadRequest: a piece does not have the digest it claims.
    """
    have = set(have)
    fresh = [piece for piece in brought if piece.digest not in have]
    put(tx, account, fresh, now)
    have.update(piece.digest for piece in fresh)
    return [digest for digest in dict.fromkeys(digests) if digest not in have]


def put(tx: Connection, account: int, brought: list[Code], now: int) -> None:
    """Store pieces of code; ones that are there stay.

    Raises:
        BadRequest: a piece does not have the digest it claims.
    """
    for piece in brought:
        if hashlib.sha256(piece.data).hexdigest() != piece.digest:
            raise BadRequest(f"code {piece.digest[:12]} arrived damaged: its sha256 is another", hint="send it again")
        tx.execute(add(code), {"account": account, "digest": piece.digest, "kind": text(piece.kind), "created": now,
                               "info": text(to_json(piece.info).decode()), "data": piece.data})  # fmt: skip


def get(tx: Connection, account: int, digest: str) -> Code:
    """One piece of code with its bytes.

    Raises:
        NotFound: the account has none of that digest.
    """
    row = tx.execute(_GET, {"account": account, "digest": digest}).one_or_none()
    if row is None:
        raise NotFound(f"there is no code {digest[:12]}")
    return Code(row.digest, row.kind, row.data, from_json(row.info))


_digests = Listed("digests")
HAVE = select(gathered(code.c.digest)).where(code.c.account == bindparam("account"), code.c.digest.in_(_digests.chosen(Text)))
_GET = select(code).where(code.c.account == bindparam("account"), code.c.digest == bindparam("digest"))
