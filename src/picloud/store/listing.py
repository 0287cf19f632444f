"""Lists of jobs for people, newest first.

    newest(tx, account, *, state=None, label=None, func=None, since=None, before=None, limit=50,
           queue=None) -> (list[dict], next | None)

``next`` is the jid to give as ``before`` for the following page, None at the end.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, literal_column, select
from sqlalchemy import func as sql

from picloud.store.queue.schema import attachment, handler
from picloud.store.queue.schema import queue as queues
from picloud.store.rows import from_json, gathered
from picloud.store.schema import FAILED, READY, WAITING, attempt, job, kind, lease, submission
from picloud.wire.error import BadRequest
from picloud.wire.job import Cause, Status

LONGEST_PAGE = 10_000
FIELDS = ("jid", "status", "function", "label", "core_type", "cores", "created", "started", "finished", "runtime", "cause",
          "attempts", "parent_jid")  # fmt: skip


def newest(tx: Connection, account: int, *, state: str | None = None, label: str | None = None, func: str | None = None,  # noqa: PLR0913
           since: int | None = None, before: int | None = None, limit: int = 50, queue: str | None = None
           ) -> tuple[list[dict[str, Any]], int | None]:  # fmt: skip
    """One page of the account's jobs by falling jid.

    Args:
        state: name of a Status.
        label: of the submission.
        func: name of the function.
        since: created at this epoch ms or later.
        before: only jids below.
        limit: rows at most, 1 to LONGEST_PAGE.
        queue: only jobs of this queue's handlers.

    Raises:
        BadRequest: no such state, or a bad limit.
    """
    if state and state not in Status.__members__:
        raise BadRequest(f"there is no state {state!r}", hint=f"one of {', '.join(Status.__members__)}")
    if not 1 <= limit <= LONGEST_PAGE:
        raise BadRequest(f"a page has 1 to {LONGEST_PAGE} jobs, not {limit}")
    if not all(abs(number or 0) < 1 << 62 for number in (since, before)):
        raise BadRequest("a time or jid is out of range")
    where = [job.c.account == account]
    if label or func:
        those = _submissions(account, label, func)
        lowest = tx.execute(those.with_only_columns(sql.min(submission.c.first))).scalar_one()
        if lowest is None:
            return [], None
        where += [job.c.submission.in_(those), job.c.jid >= lowest]
    if queue:
        where.append(job.c.jid.in_(_of_queue(account, queue)))
    if before is not None:
        where.append(job.c.jid < before)
    if since is not None:
        where.append(job.c.created >= since)
    if state:
        where.append(_in_state(Status[state]))
    chosen = select(job.c.jid).where(*where).order_by(job.c.jid.desc()).limit(bindparam("limit"))
    rows = from_json(tx.execute(_shown(chosen), {"limit": limit + 1}).scalar_one())
    page = [_row(row) for row in rows[:limit]]
    return page, page[-1]["jid"] if len(rows) > limit else None


def _submissions(account: int, label: str | None, name: str | None) -> Select[Any]:
    those = select(submission.c.id).where(submission.c.account == account)
    if label:
        those = those.where(submission.c.label == label, literal_column("label <> ''"))
    return those.where(submission.c.name == name) if name else those


def _of_queue(account: int, name: str) -> Select[Any]:
    named = (queues.c.account == account) & (queues.c.name == name) & (queues.c.gone == literal_column("0"))
    versions = select(attachment.c.id).join(queues, queues.c.id == attachment.c.queue).where(named)
    return select(handler.c.jid).where(handler.c.attachment.in_(versions))


def _in_state(state: Status) -> ColumnElement[bool]:
    if state == Status.waiting:
        return WAITING
    if state == Status.queued:
        unstarted = select(lease.c.jid).where(lease.c.started.is_(None))
        return (job.c.status == literal_column("1")) & (READY | job.c.jid.in_(unstarted))
    if state == Status.processing:
        return job.c.jid.in_(select(lease.c.jid)) & (job.c.status == literal_column("2"))
    equal = job.c.status == literal_column(str(int(state)))
    return equal if state == Status.done else equal & FAILED


def _shown(chosen: Select[Any]) -> Select[str]:
    page = chosen.subquery("chosen")
    last = (attempt.c.jid == job.c.jid) & (attempt.c.n == job.c.attempts)
    rows = (
        select(job.c.jid, job.c.status, submission.c.name, submission.c.label, kind.c.core_type, kind.c.cores, job.c.created,
               sql.coalesce(attempt.c.started, lease.c.started).label("started"), job.c.finished, attempt.c.runtime_us,
               job.c.cause, job.c.attempts, submission.c.parent_jid)
        .join_from(page, job, job.c.jid == page.c.jid)
        .join(submission, submission.c.id == job.c.submission)
        .join(kind, kind.c.id == job.c.kind)
        .outerjoin(lease, lease.c.jid == job.c.jid)
        .outerjoin(attempt, last)
        .order_by(job.c.jid.desc())
        .subquery("shown")
    )  # fmt: skip
    return select(gathered(*rows.c))


def _row(row: list[Any]) -> dict[str, Any]:
    made = dict(zip(FIELDS, row, strict=True))
    made["status"] = Status(made["status"]).name
    made["cause"] = Cause(made["cause"]).name if made["cause"] else None
    made["runtime"] = None if made["runtime"] is None else made["runtime"] / 1e6
    return made
