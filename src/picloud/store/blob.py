"""Blobs: rows about immutable bytes that rest in files or in an object store.

    new(tx, account, sizes, now) -> list[str]           ids, uploading
    arrived(tx, id, size, now)                          uploading -> live; NotFound
    owned(tx, account, ids) -> int                      when the first of them was touched; NotFound names one that is not there
    refer(tx, account, ids, now)                        to be called where a row comes to name blobs; NotFound
    touch(tx, account, ids, now) -> set[str]            the same, telling which are there
    sizes(tx, ids) -> dict[str, int]
    drop_unnamed(tx)                                    in a copy, which their bytes did not come along with
    sweep(tx, before, now, limit) -> (condemned, due)   see there
    named(tx) -> list[(id, size)]                       of all accounts
    forget(tx, ids)                                     their bytes are deleted

A blob is uploading, then live. One that no row names and that nobody touched for a while is condemned; it is swept if for as
long again nobody touches it. To refer to a blob, to ask for a ticket to read it, to hold it open in a mount is to touch it,
and a condemned one is live again by that. So rows refer only to live ones, in the transaction that makes the reference, and
who has a version at hand that has been replaced may still read it, and store it anew.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import BigInteger, Connection, Text, and_, bindparam, case, delete, insert, literal_column, not_, select, update

from picloud.store.award.schema import application_file
from picloud.store.environment_schema import layer
from picloud.store.index.schema import extent
from picloud.store.queue.schema import body
from picloud.store.rows import Listed, as_list, gathered, listing, run
from picloud.store.schema import argument, blob, result
from picloud.wire.error import NotFound

UPLOADING, LIVE, CONDEMNED, GIVEN_UP, SWEPT = 0, 1, 2, 3, 4
"""Given up: condemned, and its bytes never came. Swept: nothing brings it back; its row stays until its bytes are gone."""


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
    moved = run(tx, _ARRIVED, id_=name, size_=size, now=now).rowcount
    if not moved:
        raise NotFound(f"no blob {name} waits for its bytes")


def all_arrived(tx: Connection, sizes: Mapping[str, int], now: int) -> None:
    """The same for several, by their names."""
    for name, size in sorted(sizes.items()):
        arrived(tx, name, size, now)


def owned(tx: Connection, account: int, names: Sequence[str]) -> int:
    """Check that the account has these blobs, and their bytes are there.

    Returns:
        When the one of them was touched that was touched longest ago (epoch ms); 0 for none.

    Raises:
        NotFound: names the first that it has not.
    """
    have = dict(listing(tx, _OWNED, account=account, names=as_list(names)))
    for name in names:
        if name not in have:
            raise NotFound(f"there is no blob {name}")
    return min(have.values(), default=0)


def refer(tx: Connection, account: int, names: Iterable[str], now: int) -> None:
    """Hold these blobs for a row that this transaction adds.

    Raises:
        NotFound: the account has no such blob.
    """
    wanted = sorted(set(names))
    if wanted and len(touch(tx, account, wanted, now)) != len(wanted):
        owned(tx, account, wanted)


def touch(tx: Connection, account: int, names: Iterable[str], now: int) -> set[str]:
    """Keep the sweeper away from these blobs; those among them that the account has, which are live now."""
    wanted = as_list(sorted(set(names)))
    run(tx, _TOUCH, account_=account, names=wanted, now=now)
    return {name for name, _ in listing(tx, _OWNED, account=account, names=wanted)}


def sizes(tx: Connection, names: Iterable[str]) -> dict[str, int]:
    """The bytes of each of these blobs that is there."""
    return dict(listing(tx, _SIZES, names=as_list(sorted(set(names)))))


def sweep(tx: Connection, before: int, now: int, limit: int = 1000) -> tuple[int, list[str]]:
    """One cycle: condemn blobs that no row names and nobody touched since ``before`` (epoch ms), and sweep those that were
    condemned before that and not touched since. They are told again until :func:`forget`: whoever dies, or finds no store,
    leaves no bytes behind.

    Returns:
        How many were condemned, and the ids whose bytes may now be deleted, ``limit`` at most.
    """
    due = [name for (name,) in run(tx, _SWEEP, before=before, limit=limit).fetchall()]
    condemned = tx.execute(_CONDEMN, {"before": before, "now": now}).rowcount
    return condemned, due


def named(tx: Connection) -> list[tuple[str, int]]:
    """Name and bytes of every blob that a row names, of whatever account, by name."""
    return [(name, size) for name, size in tx.execute(_NAMED)]


def drop_unnamed(tx: Connection) -> None:
    """Forget, in a copy of a database, the blobs whose bytes were left behind."""
    tx.execute(delete(blob).where(*UNNAMED))


def forget(tx: Connection, names: Iterable[str]) -> None:
    """Remove the rows of swept blobs whose bytes are deleted."""
    run(tx, _REMOVE, names=as_list(sorted(names)))


_names = Listed("names")
_now = bindparam("now", type_=BigInteger)
_ARRIVED = (
    update(blob)
    .where(blob.c.id == bindparam("id_"), blob.c.state < SWEPT)
    .values(state=LIVE, size=bindparam("size_", type_=BigInteger), touched=_now)
)
_there = blob.c.state.in_([literal_column(str(LIVE)), literal_column(str(CONDEMNED))])
_OWNED = select(gathered(blob.c.id, blob.c.touched)).where(
    blob.c.account == bindparam("account"), blob.c.id.in_(_names.chosen(Text)), _there
)
_SIZES = select(gathered(blob.c.id, blob.c.size)).where(blob.c.id.in_(_names.chosen(Text)))
_TOUCH = (
    update(blob)
    .where(blob.c.account == bindparam("account_"), blob.c.id.in_(_names.chosen(Text)), _there)
    .values(state=LIVE, touched=_now)
)
UNNAMED = (
    ~select(argument.c.jid).where(argument.c.blob == blob.c.id, argument.c.blob.is_not(None)).exists(),
    ~select(result.c.jid).where(result.c.blob == blob.c.id, result.c.blob.is_not(None)).exists(),
    ~select(layer.c.digest).where(layer.c.blob == blob.c.id).exists(),
    ~select(extent.c.object).where(extent.c.blob == blob.c.id).exists(),
    ~select(body.c.id).where(body.c.blob == blob.c.id, body.c.blob != literal_column("''")).exists(),
    ~select(application_file.c.application).where(application_file.c.blob == blob.c.id).exists(),
)
"""What makes a blob one that no row names."""
_NAMED = select(blob.c.id, blob.c.size).where(not_(and_(*UNNAMED))).order_by(blob.c.id)
_ended = blob.c.state >= literal_column(str(CONDEMNED))
_due = (blob.c.state == literal_column(str(SWEPT))) | ((blob.c.touched < bindparam("before")) & and_(*UNNAMED))
_old = select(blob.c.id).where(_ended, _due).limit(bindparam("limit"))
_SWEEP = update(blob).where(blob.c.id.in_(_old), _ended).values(state=literal_column(str(SWEPT))).returning(blob.c.id)
"""Whoever touches a condemned one first keeps it."""
_REMOVE = delete(blob).where(blob.c.id.in_(_names.chosen(Text)), blob.c.state == literal_column(str(SWEPT)))
_CONDEMN = (
    update(blob)
    .where(blob.c.state.in_([UPLOADING, LIVE]), blob.c.touched < bindparam("before"), *UNNAMED)
    .values(state=case((blob.c.state == LIVE, CONDEMNED), else_=GIVEN_UP), touched=_now)
)
"""PostgreSQL looks for names as they were when this statement began: that a blob was touched meanwhile is all that it sees
anew. Where clocks are that far apart, a named one may come to be condemned; it is looked at again before it goes."""
