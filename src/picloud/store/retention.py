"""What is old goes away, in small pieces.

    payloads(tx, before, limit) -> int      arguments, results, logs and samples of jobs that finished before (ms)
    jobs(tx, before, limit) -> int          their rows; the ledger's lines stay for ever
    submissions(tx, before, after, limit) -> int | None     submissions that no job is left of
    drop_jobs(tx, jids) / drop_submissions(tx, ids)         what these remove
    empty(tx, ids) -> list[int] / newest(tx) -> int

The first two return how many jobs they cleared; call again while that is ``limit``. Blobs that nothing names any more are the
sweeper's (``blob.sweep``), and so is code (``code.remove``).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BigInteger, Connection, bindparam, delete, func, select
from sqlalchemy.sql import ColumnElement

from picloud.store.rows import Listed, as_list, constant, gathered, listing, run
from picloud.store.schema import argument, chunk, dependency, job, log, result, sample, submission, submission_env


def payloads(tx: Connection, before: int, limit: int = 1000) -> int:
    """Remove arguments, results, logs and samples of jobs that finished before ``before``."""
    jids: list[int] = listing(tx, _WITH_PAYLOAD, before=before, limit=limit)
    for statement in _PAYLOADS:
        run(tx, statement, jids=as_list(jids))
    return len(jids)


def jobs(tx: Connection, before: int, limit: int = 1000) -> int:
    """Remove the rows of jobs that finished before ``before``, with what is left of their payloads."""
    jids: list[int] = listing(tx, _OLD, before=before, limit=limit)
    drop_jobs(tx, jids)
    return len(jids)


def drop_jobs(tx: Connection, jids: Sequence[int]) -> None:
    """Remove the rows of these jobs, which have ended and are in nobody's hands, with their payloads."""
    for statement in (*_PAYLOADS, _JOBS):
        run(tx, statement, jids=as_list(jids))


def submissions(tx: Connection, before: int, after: int, limit: int = 1000) -> int | None:
    """Remove submissions made before ``before`` (epoch ms) whose jobs are all gone. Looks at ``limit`` of them.

    The newest one stays: SQLite would give its number to the next, and workers may remember what that meant.

    Args:
        after: the number of the submission up to which this was called already; 0 to begin with.

    Returns:
        Up to which it is done now; None at the end.
    """
    seen = [row[0] for row in run(tx, _SEEN, after=after, limit=limit) if row[1] < before]
    if not seen:
        return None
    drop_submissions(tx, empty(tx, seen))
    return int(seen[-1])


def newest(tx: Connection) -> int:
    """The number of the newest submission; 0 = there is none."""
    return int(tx.execute(select(_newest)).scalar() or 0)


def empty(tx: Connection, ids: Sequence[int]) -> list[int]:
    """Those of these submissions that are complete and whose jobs are all gone."""
    found: list[int] = listing(tx, _EMPTY, ids=as_list(ids))
    return found


def drop_submissions(tx: Connection, ids: Sequence[int], *, bare: bool = False) -> None:
    """Remove these submissions, whose jobs are all gone; with ``bare`` only what lies beside their rows."""
    for statement in _BESIDE if bare else (*_BESIDE, _BARE):
        run(tx, statement, ids=as_list(ids))
    run(tx, _UNTOLD, ids=as_list([-number for number in ids]))


_jids, _ids = Listed("jids"), Listed("ids")
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
_PAYLOADS = [delete(table).where(table.c.jid.in_(_jids.chosen())) for table in (argument, result, log, sample)]
_newest = select(func.max(submission.alias("newest").c.id)).scalar_subquery()
_SEEN = (
    select(submission.c.id, submission.c.created)
    .where(submission.c.id > bindparam("after", type_=BigInteger), submission.c.id < _newest)
    .order_by(submission.c.id)
    .limit(_limit)
)


def _jobs_of(first: ColumnElement[int], count: ColumnElement[int]) -> ColumnElement[bool]:
    return select(job.c.jid).where(job.c.jid >= first, job.c.jid < first + count).exists()


_in_chunks = select(chunk.c.offset).where(chunk.c.submission == submission.c.id, _jobs_of(chunk.c.first, chunk.c.count)).exists()
_empty = (
    select(submission.c.id)
    .where(
        submission.c.id.in_(_ids.chosen()),
        submission.c.final == constant(1),
        ~_jobs_of(submission.c.first, func.coalesce(submission.c.count, submission.c.head)),
        ~_in_chunks,
    )
    .subquery()
)
_EMPTY = select(gathered(_empty.c.id))
_BESIDE = [
    delete(table).where(column.in_(_ids.chosen()))
    for table, column in (
        (submission_env, submission_env.c.submission),
        (chunk, chunk.c.submission),
        (dependency, dependency.c.child),
    )
]
_BARE = delete(submission).where(submission.c.id.in_(_ids.chosen()))
_UNTOLD = delete(dependency).where(dependency.c.child.in_(_ids.chosen()))
"""Ends that were to be told, of jobs that never came."""
_JOBS = delete(job).where(job.c.jid.in_(_jids.chosen()))
