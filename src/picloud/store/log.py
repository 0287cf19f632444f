"""What jobs print, in chunks as rows: the first bytes and the last bytes of each stream are kept.

    append(tx, worker, chunks: list[LogChunk], head, tail, now) -> int  how many chunks were taken
    after(tx, account, jid, stream, n, offset, since, limit) -> list[Piece]     what follows a place, for whoever reads along
    read(tx, account, jid, stream, limit=65_536, n=None) -> bytes       the end of one stream
    tails(tx, account, ranges, streams, limit) -> {jid: {stream: bytes}}

Only the worker that has, or had, an attempt may add to it. A repeat of a chunk changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from sqlalchemy import BigInteger, Connection, Text, bindparam, delete, func, select, union_all

from picloud.store.rows import Listed, add, as_list, constant, cut, from_json, gathered, glued, listing, one, pieces
from picloud.store.schema import attempt, job, lease, log
from picloud.wire.message import LogChunk, Ranges

STREAMS = ("stdout", "stderr", "logging", "pilog", "syslog", "profile")


def append(tx: Connection, worker: int, chunks: list[LogChunk], head: int, tail: int, now: int | None = None) -> int:
    """Add what a worker sent.

    Args:
        head: bytes of each stream that are kept from its start.
        tail: bytes kept from its end.
        now: epoch ms.
    """
    allowed = {(jid, n) for jid, n in listing(tx, _ALLOWED, worker=worker, jids=as_list({c.jid for c in chunks}))}
    taken = [c for c in chunks if (c.jid, c.n) in allowed and c.stream in STREAMS and c.data and c.offset >= 0]
    if not taken:
        return 0
    rows, at = [], 0
    for chunk in taken:
        rows.append((chunk.jid, chunk.n, chunk.stream, chunk.offset, at, len(chunk.data)))
        at += len(chunk.data)
    tx.execute(_ADD, {"rows": as_list(rows), "bytes": b"".join([c.data for c in taken]), "now": now})
    ends: dict[tuple[int, int, str], int] = {}
    for chunk in taken:
        key = (chunk.jid, chunk.n, chunk.stream)
        ends[key] = max(ends.get(key, 0), chunk.offset + len(chunk.data))
    for (jid, n, stream), end in ends.items():
        if end > head + tail:
            tx.execute(_TRIM, {"jid_": jid, "n_": n, "stream_": stream, "head": head, "start": end - tail})
    return len(taken)


class Piece(Struct, array_like=True):
    """A chunk that is kept."""

    n: int
    stream: str
    offset: int
    at: int  # epoch ms
    data: bytes


def newest(tx: Connection, account: int, jid: int) -> int:
    """The newest attempt of a job that has printed anything; 0 = none has."""
    return int(one(tx, _NEWEST_N, account=account, jid=jid)[0] or 0)


def after(tx: Connection, account: int, jid: int, stream: str, n: int, offset: int, since: int, limit: int) -> list[Piece]:
    """The chunks of one stream that hold bytes behind a place, in order.

    Args:
        n: attempt; all of later ones belong to it.
        offset: bytes of that attempt's stream that are known.
        since: only chunks that came at this time (epoch ms) or later.
        limit: chunks at most.
    """
    place = {"account": account, "jid": jid, "stream": stream, "n": n, "offset": offset, "since": since, "limit": limit}
    found, data = one(tx, _AFTER, **place)
    rows: list[list[int]] = from_json(found)
    cuts = pieces(data, [row[3] for row in rows])
    return [Piece(row[0], stream, row[1], row[2] or 0, cut) for row, cut in zip(rows, cuts, strict=True)]


def read(tx: Connection, account: int, jid: int, stream: str, limit: int = 65_536, n: int | None = None) -> bytes:
    """The last ``limit`` bytes of a stream of a job's attempt ``n`` (None: the newest that printed something)."""
    found = tails(tx, account, [(jid, 1)], [stream], limit, n)
    return found.get(jid, {}).get(stream, b"")


def tails(tx: Connection, account: int, ranges: Ranges, streams: Iterable[str], limit: int, n: int | None = None
          ) -> dict[int, dict[str, bytes]]:  # fmt: skip
    """The ends of these streams of the account's jobs, of the newest attempt that printed to each (or of ``n``).

    A gap that trimming left is marked by a line of its own.
    """
    made: dict[int, dict[str, bytes]] = {}
    for first, count in ranges:
        place = {"account": account, "first": first, "end": first + count, "streams": as_list(list(streams))}
        newest: dict[tuple[int, str], int] = {(jid, stream): last for jid, stream, last in listing(tx, _NEWEST, **place)}
        for (jid, stream), last in newest.items():
            chosen = {"jid": jid, "n": last if n is None else n, "stream": stream, "limit": limit}
            made.setdefault(jid, {})[stream] = _tail(tx, chosen, limit)
    return made


def _tail(tx: Connection, chosen: dict[str, object], limit: int) -> bytes:
    text, data = tx.execute(_CHUNKS, chosen).one()
    rows: list[list[int]] = from_json(text)
    parts: list[bytes] = []
    end = rows[0][0] if rows else 0
    for (offset, size), piece in zip(rows, pieces(data, [size for _, size in rows]), strict=True):
        if offset > end:
            parts.append(f"\n[{offset - end} bytes left out]\n".encode())
        parts.append(piece)
        end = offset + size
    return b"".join(parts)[-limit:]


_rows, _jids, _streams = Listed("rows"), Listed("jids"), Listed("streams")
_worker = bindparam("worker", type_=BigInteger)
_hands = union_all(
    *(select(t.c.jid, t.c.n).where(t.c.jid.in_(_jids.chosen()), t.c.worker == _worker) for t in (lease, attempt))
).subquery()
_ALLOWED = select(gathered(_hands.c.jid, _hands.c.n))
_ADD = add(log).from_select(
    ["jid", "n", "stream", "offset", "size", "data", "at"],
    select(
        _rows.c(0),
        _rows.c(1),
        _rows.c(2, Text),
        _rows.c(3),
        _rows.c(5),
        cut("bytes", _rows.c(4), _rows.c(5)),
        bindparam("now", type_=BigInteger),
    )
    .select_from(_rows.table)
    .where(_rows.key >= 0),
)
_TRIM = delete(log).where(
    log.c.jid == bindparam("jid_"), log.c.n == bindparam("n_"), log.c.stream == bindparam("stream_"),
    log.c.offset >= bindparam("head", type_=BigInteger), log.c.offset + log.c.size <= bindparam("start", type_=BigInteger),
)  # fmt: skip
_within = (
    select(log.c.jid, log.c.stream, func.max(log.c.n).label("n"))
    .join_from(log, job, job.c.jid == log.c.jid)
    .where(log.c.jid >= bindparam("first", type_=BigInteger), log.c.jid < bindparam("end", type_=BigInteger),
           log.c.stream.in_(_streams.chosen(Text)), job.c.account == bindparam("account", type_=BigInteger))
    .group_by(log.c.jid, log.c.stream)
    .subquery()
)  # fmt: skip
_NEWEST = select(gathered(_within.c.jid, _within.c.stream, _within.c.n))
_of = (log.c.jid == bindparam("jid"), log.c.n == bindparam("n"), log.c.stream == bindparam("stream"))
_end = select(func.max(log.c.offset + log.c.size)).where(*_of).scalar_subquery()
_last = (
    select(log.c.offset, log.c.size, log.c.data)
    .where(*_of, log.c.offset + log.c.size > _end - bindparam("limit", type_=BigInteger))
    .order_by(log.c.offset)
    .subquery()
)
_CHUNKS = select(gathered(_last.c.offset, _last.c.size), glued(_last.c.data))
_here = (log.c.jid == bindparam("jid", type_=BigInteger), job.c.account == bindparam("account", type_=BigInteger))
_NEWEST_N = select(func.max(log.c.n)).join_from(log, job, job.c.jid == log.c.jid).where(*_here)
_n, _offset = bindparam("n", type_=BigInteger), bindparam("offset", type_=BigInteger)
_behind = (
    select(log.c.n, log.c.offset, log.c.at, log.c.size, log.c.data)
    .join_from(log, job, job.c.jid == log.c.jid)
    .where(*_here, log.c.stream == bindparam("stream", type_=Text),
           (log.c.n > _n) | ((log.c.n == _n) & (log.c.offset + log.c.size > _offset)),
           func.coalesce(log.c.at, constant(0)) >= bindparam("since", type_=BigInteger))
    .order_by(log.c.n, log.c.offset)
    .limit(bindparam("limit", type_=BigInteger))
    .subquery()
)  # fmt: skip
_AFTER = select(gathered(_behind.c.n, _behind.c.offset, _behind.c.at, _behind.c.size), glued(_behind.c.data))
