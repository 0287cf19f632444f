"""Lists of jobs for people, newest first.

    newest(tx, account, *, state=None, label=None, func=None, since=None, before=None, limit=50) -> (list[dict], next | None)

``next`` is the jid to give as ``before`` for the following page, None at the end.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, literal_column, select

from picloud.store.rows import gathered
from picloud.store.rows import listing as listed
from picloud.store.schema import READY, WAITING, attempt, job, kind, lease, submission
from picloud.wire.error import BadRequest
from picloud.wire.job import Cause, Status

LONGEST_PAGE = 10_000
FIELDS = ("jid", "status", "function", "label", "core_type", "cores", "created", "started", "finished", "runtime", "cause",
          "attempts", "parent_jid")  # fmt: skip


def newest(tx: Connection, account: int, *, state: str | None = None, label: str | None = None, func: str | None = None,
           since: int | None = None, before: int | None = None, limit: int = 50
           ) -> tuple[list[dict[str, Any]], int | None]:  # fmt: skip
    """One page of the account's jobs by falling jid.

    Args:
        state: name of a Status.
        label: of the submission.
        func: name of the function.
        since: created at this epoch ms or later.
        before: only jids below.
        limit: rows at most, 1 to LONGEST_PAGE.

    Raises:
        BadRequest: no such state, or a bad limit.
    """
    if state and state not in Status.__members__:
        raise BadRequest(f"there is no state {state!r}", hint=f"one of {', '.join(Status.__members__)}")
    if not 1 <= limit <= LONGEST_PAGE:
        raise BadRequest(f"a page has 1 to {LONGEST_PAGE} jobs, not {limit}")
    if not all(abs(number or 0) < 1 << 62 for number in (since, before)):
        raise BadRequest("a time or jid is out of range")
    chosen = _chosen(account, Status[state] if state else None, label, func, since, before).limit(bindparam("limit"))
    rows = listed(tx, _shown(chosen), limit=limit + 1)
    page = [_row(row) for row in rows[:limit]]
    return page, page[-1]["jid"] if len(rows) > limit else None


def _chosen(account: int, state: Status | None, label: str | None, name: str | None, since: int | None,
            before: int | None) -> Select[Any]:  # fmt: skip
    """The jids of a page. Rare states have small indexes of their own; everything else is a walk down the narrow rows."""
    where: list[ColumnElement[bool]] = [job.c.account == account]
    if before is not None:
        where.append(job.c.jid < before)
    if since is not None:
        where.append(job.c.created >= since)
    if label or name:
        those = select(submission.c.id).where(submission.c.account == account)
        those = those.where(submission.c.label == label, literal_column("label <> ''")) if label else those
        where.append(job.c.submission.in_(those.where(submission.c.name == name) if name else those))
    if state is not None:
        where.append(_in_state(state))
    return select(job.c.jid).where(*where).order_by(job.c.jid.desc())


def _in_state(state: Status) -> ColumnElement[bool]:
    if state == Status.waiting:
        return WAITING
    if state == Status.queued:
        unstarted = select(lease.c.jid).where(lease.c.started.is_(None))
        return (job.c.status == literal_column("1")) & (READY | job.c.jid.in_(unstarted))
    if state == Status.processing:
        return job.c.jid.in_(select(lease.c.jid)) & (job.c.status == literal_column("2"))
    return job.c.status == int(state)


def _shown(chosen: Select[Any]) -> Select[tuple[str]]:
    page = chosen.subquery("chosen")
    last = (attempt.c.jid == job.c.jid) & (attempt.c.n == job.c.attempts)
    rows = (
        select(job.c.jid, job.c.status, submission.c.name, submission.c.label, kind.c.core_type, kind.c.cores, job.c.created,
               func.coalesce(attempt.c.started, lease.c.started).label("started"), job.c.finished, attempt.c.runtime_us,
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
