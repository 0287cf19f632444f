"""Blobs: rows about immutable bytes that rest in files or in an object store.

    new(tx, account, sizes, now) -> list[str]           ids, uploading
    arrived(tx, id, size, now)                          uploading -> live; NotFound
    owned(tx, account, ids)                             NotFound names the first that is not there
    refer(tx, account, ids, now)                        to be called where a row comes to name blobs; NotFound
    touch(tx, account, ids, now) -> set[str]            the same, telling which are there
    sizes(tx, ids) -> dict[str, int]
    sweep(tx, before, now, limit) -> (condemned, gone)  see there

A blob is uploading, then live, then condemned. Rows refer only to live ones, in the transaction that makes the reference.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence

from sqlalchemy import BigInteger, Connection, Text, bindparam, delete, insert, literal_column, select, update

from picloud.store.index.schema import extent
from picloud.store.rows import Listed, as_list, gathered, listing
from picloud.store.schema import argument, blob, layer, result
from picloud.wire.error import NotFound

UPLOADING, LIVE, CONDEMNED = 0, 1, 2


def new(tx: Connection, account: int, sizes: Sequence[int], now: int) -> list[str]:
    """Rows for blobs about to be uploaded, of so many bytes each; their random ids."""
    ids = [secrets.token_hex(16) for _ in sizes]
    if ids:
        tx.execute(insert(blob), [{"id": name, "account": account, "state": UPLOADING, "size": size, "created": now,
                                   "touched": now} for name, size in zip(ids, sizes, strict=True)])  # fmt: skip
    return ids


def arrived(tx: Connection, name: str, size: int, now: int) -> None:
    """The bytes are on disk: the blob is live from now on. A repeat is a no-op.

    Raises:
        NotFound: no such blob waits for its bytes.
    """
    moved = tx.execute(_ARRIVED, {"id_": name, "size_": size, "now": now}).rowcount
    if not moved:
        raise NotFound(f"no blob {name} waits for its bytes")


def owned(tx: Connection, account: int, names: Sequence[str]) -> None:
    """Check that the account has these live blobs.

    Raises:
        NotFound: names the first that it has not.
    """
    have = set(listing(tx, _OWNED, account=account, names=as_list(names)))
    for name in names:
        if name not in have:
            raise NotFound(f"there is no blob {name}")


def refer(tx: Connection, account: int, names: Iterable[str], now: int) -> None:
    """Hold these blobs for a row that this transaction adds.

    Raises:
        NotFound: one is not a live blob of the account.
    """
    wanted = sorted(set(names))
    if wanted and len(touch(tx, account, wanted, now)) != len(wanted):
        owned(tx, account, wanted)


def touch(tx: Connection, account: int, names: Iterable[str], now: int) -> set[str]:
    """Keep the sweeper away from these blobs; those among them that are live and of the account."""
    wanted = as_list(sorted(set(names)))
    tx.execute(_TOUCH, {"account_": account, "names": wanted, "now": now})
    return set(listing(tx, _OWNED, account=account, names=wanted))


def sizes(tx: Connection, names: Iterable[str]) -> dict[str, int]:
    """The bytes of each of these blobs that is there."""
    return dict(listing(tx, _SIZES, names=as_list(sorted(set(names)))))


def sweep(tx: Connection, before: int, now: int, limit: int = 1000) -> tuple[int, list[str]]:
    """One cycle: condemn blobs that no row names and nobody touched since ``before`` (epoch ms), and remove the rows of
    those that were condemned before that.

    Returns:
        How many were condemned, and the ids whose bytes may now be deleted.
    """
    gone: list[str] = listing(tx, _GONE, before=before, limit=limit)
    tx.execute(_REMOVE, {"names": as_list(gone)})
    condemned = tx.execute(_CONDEMN, {"before": before, "now": now}).rowcount
    return condemned, gone


_names = Listed("names")
_now = bindparam("now", type_=BigInteger)
_ARRIVED = (
    update(blob)
    .where(blob.c.id == bindparam("id_"), blob.c.state.in_([UPLOADING, LIVE]))
    .values(state=LIVE, size=bindparam("size_", type_=BigInteger), touched=_now)
)
_live = blob.c.state == literal_column(str(LIVE))
_OWNED = select(gathered(blob.c.id)).where(blob.c.account == bindparam("account"), blob.c.id.in_(_names.chosen(Text)), _live)
_SIZES = select(gathered(blob.c.id, blob.c.size)).where(blob.c.id.in_(_names.chosen(Text)))
_TOUCH = (
    update(blob).where(blob.c.account == bindparam("account_"), blob.c.id.in_(_names.chosen(Text)), _live).values(touched=_now)
)
_old = select(blob.c.id).where(blob.c.state == CONDEMNED, blob.c.touched < bindparam("before")).limit(bindparam("limit"))
_GONE = select(gathered(_old.subquery().c.id))
_REMOVE = delete(blob).where(blob.c.id.in_(_names.chosen(Text)), blob.c.state == CONDEMNED)
_CONDEMN = (
    update(blob)
    .where(
        blob.c.state.in_([UPLOADING, LIVE]),
        blob.c.touched < bindparam("before"),
        ~select(argument.c.jid).where(argument.c.blob == blob.c.id, argument.c.blob.is_not(None)).exists(),
        ~select(result.c.jid).where(result.c.blob == blob.c.id, result.c.blob.is_not(None)).exists(),
        ~select(layer.c.digest).where(layer.c.blob == blob.c.id).exists(),
        ~select(extent.c.object).where(extent.c.blob == blob.c.id).exists(),
    )
    .values(state=CONDEMNED, touched=_now)
)
