"""What running jobs used, sampled by their workers: a few rows an attempt, each a list of samples.

    keep(tx, rows: list[Row])                       a row that is there already is replaced
    read(tx, account, jid, n=None) -> list[Sample]  of one attempt, by time; None = the newest that has any

Control keeps what has come in memory, thins it out and writes it here now and then (:mod:`picloud.server.sampling`).
"""

from __future__ import annotations

from itertools import accumulate

import msgspec
from sqlalchemy import BigInteger, Connection, bindparam, delete, func, select

from picloud.store.rows import Listed, add, as_list, cut, gathered, glued, one, pack, pieces, run
from picloud.store.rows import from_json as _from_json
from picloud.store.schema import job, sample
from picloud.wire.message import Sample

Row = tuple[int, int, int, list[Sample]]
"""jid, n, the number of the row (ms of its first sample; LAST = the row that is replaced all the time), samples"""

LAST = -1
"""The row of the last minute."""


def keep(tx: Connection, rows: list[Row]) -> None:
    """Write rows, in the place of older ones of the same number; nothing happens for jobs that were deleted."""
    if not rows:
        return
    parts = [pack(samples) for *_, samples in rows]
    places = [
        (jid, n, start, end - len(part), len(part))
        for (jid, n, start, _), part, end in zip(rows, parts, accumulate(map(len, parts)), strict=True)
    ]
    run(tx, _DROP, rows=as_list(places), jids=as_list({row[0] for row in rows}))
    run(tx, _ADD, rows=as_list(places), bytes=b"".join(parts))


def read(tx: Connection, account: int, jid: int, n: int | None = None) -> list[Sample]:
    """The samples of an attempt, by time, each once."""
    found, data = one(tx, _READ, account=account, jid=jid)
    rows: list[list[int]] = _from_json(found)
    newest = max((row[0] for row in rows), default=0) if n is None else n
    made: dict[int, Sample] = {}
    for row, part in zip(rows, pieces(data, [row[1] for row in rows]), strict=True):
        if row[0] == newest:
            made |= {one.at_ms: one for one in _decode(part)}
    return [made[at] for at in sorted(made)]


_decode = msgspec.msgpack.Decoder(list[Sample]).decode
_rows, _jids = Listed("rows"), Listed("jids")
_DROP = delete(sample).where(
    sample.c.jid.in_(_jids.chosen()),  # by the index
    select(_rows.key)
    .select_from(_rows.table)
    .where(sample.c.jid == _rows.c(0), sample.c.n == _rows.c(1), sample.c.start == _rows.c(2))
    .exists(),
)
_ADD = add(sample).from_select(
    ["jid", "n", "start", "data"],
    select(_rows.c(0), _rows.c(1), _rows.c(2), cut("bytes", _rows.c(3), _rows.c(4)))
    .select_from(_rows.table.join(job, job.c.jid == _rows.c(0)))
    .where(_rows.key >= 0),
)
_of = (
    select(sample.c.n, func.length(sample.c.data).label("size"), sample.c.data)
    .join_from(sample, job, job.c.jid == sample.c.jid)
    .where(sample.c.jid == bindparam("jid", type_=BigInteger), job.c.account == bindparam("account", type_=BigInteger))
    .order_by(sample.c.n, sample.c.start)
    .subquery()
)
_READ = select(gathered(_of.c.n, _of.c.size), glued(_of.c.data))
