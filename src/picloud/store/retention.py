"""What is old goes away, in small pieces.

    payloads(tx, before, limit) -> int      arguments, results and logs of jobs that finished before (epoch ms)
    jobs(tx, before, limit) -> int          their rows; the ledger's lines stay for ever

Both return how many jobs they cleared; call again while that is ``limit``. Blobs that nothing names any more are the
sweeper's (``blob.sweep``).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Connection, bindparam, delete, select

from picloud.store.rows import Listed, as_list, gathered, listing, run
from picloud.store.schema import argument, job, log, result


def payloads(tx: Connection, before: int, limit: int = 1000) -> int:
    """Remove arguments, results and logs of jobs that finished before ``before``."""
    jids: list[int] = listing(tx, _WITH_PAYLOAD, before=before, limit=limit)
    for statement in _PAYLOADS:
        run(tx, statement, jids=as_list(jids))
    return len(jids)


def jobs(tx: Connection, before: int, limit: int = 1000) -> int:
    """Remove the rows of jobs that finished before ``before``, with what is left of their payloads."""
    jids: list[int] = listing(tx, _OLD, before=before, limit=limit)
    for statement in (*_PAYLOADS, _JOBS):
        run(tx, statement, jids=as_list(jids))
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
_WITH_PAYLOAD = select(gathered(_with_payload.c.jid))
_OLD = select(gathered(select(job.c.jid).where(job.c.finished < _before).order_by(job.c.jid).limit(_limit).subquery().c.jid))
_PAYLOADS = [delete(table).where(table.c.jid.in_(_jids.chosen())) for table in (argument, result, log)]
_JOBS = delete(job).where(job.c.jid.in_(_jids.chosen()))
