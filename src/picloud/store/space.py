"""What takes room, by account and kind, as the index has it.

    taken(tx) -> list[Taken]            what is kept
    overdue(tx, payloads, jobs, unused) -> Overdue      what the sweeps would take now
    database(url) -> int                bytes of an SQLite file with its log

Sums over rows: nothing on disk is looked at. Values are counted at their lengths, in rows and in blobs alike. A copy of an object
shares its bytes with the original and is counted too, as its owner sees it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, Connection, and_, bindparam, cast, func, literal, or_, select

from picloud.store.award.schema import application_file
from picloud.store.blob import CONDEMNED, LIVE, SWEPT, UNNAMED, UPLOADING
from picloud.store.connect import database_url
from picloud.store.environment_schema import layer
from picloud.store.index.schema import tree
from picloud.store.queue.schema import dead, message, queue
from picloud.store.schema import account, argument, blob, code, job, log, result, sample

WAITING = "unused"
"""The kind of bytes that nothing names: they go after ``keep_unused``, and as long again."""


class Taken(Struct):
    """One kind of things of one account."""

    account: str  # "" = of an account that is gone, or everybody's
    kind: str
    count: int
    bytes: int


class Overdue(Struct):
    """What the sweeps would take now, and how much room that is."""

    payloads: int  # jobs whose arguments, results and logs go
    payload_bytes: int  # in rows
    large_bytes: int  # in blobs, which nothing names then: they begin their wait
    jobs: int  # whose rows go
    condemned: int  # blobs that begin their wait
    condemned_bytes: int
    blobs: int  # blobs that go for good
    blob_bytes: int


def taken(tx: Connection) -> list[Taken]:
    """What each account keeps, by its name and kind; nothing is left out that is more than none."""
    names = {row.id: row.name for row in tx.execute(select(account.c.id, account.c.name))}
    found: dict[tuple[str, str], Taken] = {}
    for kind, rows in _kinds(list(names)):
        for owner, count, size in tx.execute(rows):
            key = names.get(owner, ""), kind
            one = found.setdefault(key, Taken(*key, 0, 0))
            one.count += int(count or 0)
            one.bytes += int(size or 0)
    return sorted((one for one in found.values() if one.count), key=lambda one: (one.account, _ORDER.index(one.kind)))


def overdue(tx: Connection, payloads: int, jobs: int, unused: int) -> Overdue:
    """What goes now that finished before ``payloads`` or ``jobs``, or was last touched before ``unused`` (all epoch ms)."""
    finished = {"payloads": payloads, "jobs": jobs}
    old = [tx.execute(query, finished).one() for query in _OLD]
    blobs = {bool(ended): (count, size) for ended, count, size in tx.execute(_LOOSE, {"unused": unused})}
    (condemned, waiting), (gone, deleted) = blobs.get(False, (0, 0)), blobs.get(True, (0, 0))
    large = sum(int(tx.execute(query, finished).scalar_one() or 0) for query in _LARGE)
    rows = int(tx.execute(_ROWS, finished).scalar_one())
    return Overdue(int(old[0].many), sum(int(row.bytes or 0) for row in old), large, rows, int(condemned), int(waiting or 0),
                   int(gone), int(deleted or 0))  # fmt: skip


def stored(tx: Connection) -> int:
    """Bytes of all blobs that are there."""
    return int(tx.execute(_STORED).scalar_one() or 0)


def database(url: str) -> int | None:
    """Bytes of an SQLite database with its log; None for another one, whose server knows."""
    parsed = database_url(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    path = Path(str(parsed.database))
    return sum(file.stat().st_size for file in (path, path.with_name(f"{path.name}-wal")) if file.exists())


def _kinds(accounts: list[int]) -> list[tuple[str, Any]]:
    """A query for each kind: account, number, bytes.

    Whose the rows beside a job are, the job says; where all are of one account, it need not be asked for each.
    """
    alone = accounts[0] if len(accounts) == 1 else None
    return [
        ("arguments", _beside(argument, func.length(argument.c.data), alone)),
        ("arguments", _large(argument)),
        ("results", _beside(result, func.length(result.c.data), alone)),
        ("results", _large(result)),
        ("logs", _beside(log, log.c.size, alone)),
        ("samples", _beside(sample, func.length(sample.c.data), alone)),
        *_OTHERS,
    ]


def _sum(value: Any) -> ColumnElement[Any]:
    return func.sum(cast(value, BigInteger))


def _large(table: Any) -> Any:
    """Of a kind whose number is counted elsewhere, the values that are blobs: few, and found by an index."""
    found = select(blob.c.account, literal(0), _sum(blob.c.size)).join_from(table, blob, blob.c.id == table.c.blob)
    return found.where(table.c.blob.is_not(None)).group_by(blob.c.account)


def _beside(table: Any, value: Any, alone: int | None) -> Any:
    if alone is not None:
        return select(literal(alone), func.count(), _sum(value)).select_from(table)
    return (
        select(job.c.account, func.count(), _sum(value)).join_from(table, job, job.c.jid == table.c.jid).group_by(job.c.account)
    )


_letters = [
    select(queue.c.account, func.count().label("many"), _sum(table.c.size).label("bytes"))
    .join_from(table, queue, queue.c.id == table.c.queue)
    .group_by(queue.c.account)
    for table in (message, dead)
]
_there = blob.c.state.in_([LIVE, CONDEMNED, SWEPT])
_OTHERS: list[tuple[str, Any]] = [
    ("bucket", select(tree.c.account, func.sum(tree.c.objects), func.sum(tree.c.bytes)).where(tree.c.name == "")
     .group_by(tree.c.account)),
    ("volumes", select(tree.c.account, func.sum(tree.c.objects), func.sum(tree.c.bytes)).where(tree.c.name != "")
     .group_by(tree.c.account)),
    ("messages", _letters[0]),
    ("dead letters", _letters[1]),
    ("environments", select(blob.c.account, func.count(), _sum(layer.c.size)).join_from(layer, blob, blob.c.id == layer.c.blob)
     .group_by(blob.c.account)),
    ("applications", select(blob.c.account, func.count(), _sum(blob.c.size))
        .join_from(application_file, blob, blob.c.id == application_file.c.blob).group_by(blob.c.account)),
    ("code", select(code.c.account, func.count(), _sum(func.length(code.c.data))).group_by(code.c.account)),
    (WAITING, select(blob.c.account, func.count(), _sum(blob.c.size)).where(_there, *UNNAMED).group_by(blob.c.account)),
]  # fmt: skip
_ORDER = ["arguments", "results", "logs", "samples", *(kind for kind, _ in _OTHERS)]
_STORED = select(func.sum(blob.c.size)).where(_there)


def _old(table: Any, value: Any) -> Any:
    return (
        select(func.count().label("many"), _sum(value).label("bytes"))
        .join_from(table, job, job.c.jid == table.c.jid)
        .where(job.c.finished < bindparam("payloads", type_=BigInteger))
    )


_OLD = [
    _old(table, value)
    for table, value in (
        (argument, func.coalesce(func.length(argument.c.data), 0)),
        (result, func.coalesce(func.length(result.c.data), 0)),
        (log, log.c.size),
        (sample, func.length(sample.c.data)),
    )
]
_LARGE = [
    select(_sum(blob.c.size))
    .join_from(table, job, job.c.jid == table.c.jid)
    .join(blob, blob.c.id == table.c.blob)
    .where(job.c.finished < bindparam("payloads", type_=BigInteger))
    for table in (argument, result)
]
_ROWS = select(func.count()).select_from(job).where(job.c.finished < bindparam("jobs", type_=BigInteger))
_ended = blob.c.state >= CONDEMNED
_loose = and_(blob.c.touched < bindparam("unused", type_=BigInteger), *UNNAMED)
_LOOSE = (
    select(_ended, func.count(), _sum(blob.c.size))
    .where(or_(blob.c.state == SWEPT, and_(blob.c.state.in_([UPLOADING, LIVE]), _loose), and_(_ended, _loose)))
    .group_by(_ended)
)
