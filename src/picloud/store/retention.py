"""What goes after its time: payloads and logs first, later the jobs themselves. Attempts, the ledger, stay for ever.

    payloads(tx, before, limit=5000) -> int     arguments, results and logs of jobs that finished before (epoch ms)
    rows(tx, before, limit=5000) -> int         the narrow rows of such jobs

One call removes a bounded number, so that it never holds the writer for long; call again while it answers ``limit``.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Connection, bindparam, delete, select

from picloud.store.rows import Listed, as_list, gathered, listing
from picloud.store.schema import argument, job, log, result


def payloads(tx: Connection, before: int, limit: int = 5000) -> int:
    """Remove arguments, results and logs of jobs that finished before; how many jobs lost theirs."""
    jids: list[int] = listing(tx, _OLD_PAYLOADS, before=before, limit=limit)
    for statement in _REMOVE_PAYLOADS:
        tx.execute(statement, {"jids": as_list(jids)})
    return len(jids)


def rows(tx: Connection, before: int, limit: int = 5000) -> int:
    """Remove the rows of jobs that finished before and have no payload left; how many."""
    jids: list[int] = listing(tx, _OLD_ROWS, before=before, limit=limit)
    tx.execute(_REMOVE_ROWS, {"jids": as_list(jids)})
    return len(jids)


_jids = Listed("jids")
_before, _limit = bindparam("before", type_=BigInteger), bindparam("limit", type_=BigInteger)
_with_payload = (
    select(argument.c.jid)
    .join_from(argument, job, job.c.jid == argument.c.jid)
    .where(job.c.finished < _before)
    .order_by(argument.c.jid)
    .limit(_limit)
    .subquery()
)
_OLD_PAYLOADS = select(gathered(_with_payload.c.jid))
_REMOVE_PAYLOADS = [delete(table).where(table.c.jid.in_(_jids.chosen())) for table in (argument, result, log)]
_old = (
    select(job.c.jid)
    .where(job.c.finished < _before, ~select(argument.c.jid).where(argument.c.jid == job.c.jid).exists())
    .order_by(job.c.jid)
    .limit(_limit)
    .subquery()
)
_OLD_ROWS = select(gathered(_old.c.jid))
_REMOVE_ROWS = delete(job).where(job.c.jid.in_(_jids.chosen()))
