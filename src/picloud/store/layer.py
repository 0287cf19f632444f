"""Layers: packed differences of file systems, stored once however many versions and bases name them.

    keep(tx, account, digest, blob, size, now) -> str   the blob that holds it from now on; NotFound
    blob_of(tx, digest) -> str                          NotFound
    known(tx, digest) -> bool
    every(tx) -> set[str]
    sweep(tx, before) -> int                            removes what nothing names

A row protects its blob from the sweeper. A digest that is stored already keeps the bytes it has.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import BigInteger, Connection, bindparam, delete, select, update

from picloud.store import blob as blobs
from picloud.store.environment_schema import base, layer, version
from picloud.store.rows import Listed, add, as_list, from_json, one, run
from picloud.wire.error import NotFound


def keep(tx: Connection, account: int, digest: str, blob: str, size: int, now: int) -> str:
    """Hold a layer for a row that this transaction adds; its bytes are in ``blob``, unless they are stored already.

    Raises:
        NotFound: the blob is not a live one of the account.
    """
    if run(tx, _TOUCH, digest_=digest, now=now).rowcount:
        return blob_of(tx, digest)
    blobs.refer(tx, account, [blob], now)
    run(tx, _ADD, digest=digest, blob=blob, size=size, touched=now)
    return blob_of(tx, digest)


def touch(tx: Connection, digests: Iterable[str], now: int) -> None:
    """Keep layers for a row that this transaction adds.

    Raises:
        NotFound: one is not stored.
    """
    for digest in digests:
        if not run(tx, _TOUCH, digest_=digest, now=now).rowcount:
            raise NotFound(f"there is no layer {digest[:12]}")


def blob_of(tx: Connection, digest: str) -> str:
    """The blob with a layer's bytes.

    Raises:
        NotFound: no such layer.
    """
    found = one(tx, _BLOB, digest=digest)
    if found is None:
        raise NotFound(f"there is no layer {digest[:12]}")
    return str(found[0])


def known(tx: Connection, digest: str) -> bool:
    """Whether a layer is stored."""
    return one(tx, _BLOB, digest=digest) is not None


def every(tx: Connection) -> set[str]:
    """The digests of all stored layers."""
    return set(tx.execute(select(layer.c.digest)).scalars())


def sweep(tx: Connection, before: int) -> int:
    """Remove layers that no version and no base names and nobody touched since ``before`` (epoch ms); how many.

    Their blobs are the sweeper's from then on.
    """
    loose = {digest for (digest,) in tx.execute(select(layer.c.digest).where(layer.c.touched < before))}
    for table in (version, base):
        if loose:
            loose -= {digest for (names,) in tx.execute(select(table.c.layers)) for digest in from_json(names)}
    return int(run(tx, _REMOVE, digests=as_list(sorted(loose)), before=before).rowcount) if loose else 0


_digests = Listed("digests")
_ADD = add(layer)
_BLOB = select(layer.c.blob).where(layer.c.digest == bindparam("digest"))
_TOUCH = update(layer).where(layer.c.digest == bindparam("digest_")).values(touched=bindparam("now", type_=BigInteger))
_REMOVE = delete(layer).where(
    layer.c.digest.in_(_digests.chosen(layer.c.digest.type)), layer.c.touched < bindparam("before", type_=BigInteger)
)
