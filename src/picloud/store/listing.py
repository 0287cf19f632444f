"""Lists of jobs for people, newest first.

    newest(tx, account, choice=None, *, before=None, limit=50) -> (list[dict], next | None)
    of_jids(tx, jids) -> {jid: dict}            the same rows of jobs that somebody else has chosen

``choice`` is a :class:`picloud.store.choice.Choice`. ``next`` is the jid to give as ``before`` for the following page, None at
the end.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, bindparam, select
from sqlalchemy import func as sql

from picloud.store.choice import Choice, conditions
from picloud.store.rows import Listed, as_list, from_json, gathered, run
from picloud.store.schema import attempt, job, kind, lease, submission
from picloud.wire.error import BadRequest
from picloud.wire.job import Cause, Status
from picloud.wire.message import Figures

LONGEST_PAGE = 10_000
FIELDS = ("jid", "status", "function", "label", "core_type", "cores", "created", "started", "finished", "runtime", "cause",
          "attempts", "parent_jid", "cpu", "peak_memory", "failcnt", "amount")  # fmt: skip


def newest(tx: Connection, account: int, choice: Choice | None = None, *, before: int | None = None, limit: int = 50
           ) -> tuple[list[dict[str, Any]], int | None]:  # fmt: skip
    """One page of the account's jobs by falling jid.

    Args:
        choice: which; None = all.
        before: only jids below.
        limit: rows at most, 1 to LONGEST_PAGE.

    Raises:
        BadRequest: no such state or cause, or a bad limit.
    """
    check_page(limit, before)
    where = conditions(tx, account, choice or Choice())
    if where is None:
        return [], None
    if before is not None:
        where.append(job.c.jid < before)
    chosen = select(job.c.jid).where(*where).order_by(job.c.jid.desc()).limit(bindparam("limit"))
    rows = from_json(tx.execute(_shown(chosen), {"limit": limit + 1}).scalar_one())
    page = [_row(row) for row in rows[:limit]]
    return page, page[-1]["jid"] if len(rows) > limit else None


def of_jids(tx: Connection, jids: list[int]) -> dict[int, dict[str, Any]]:
    """The rows of these jobs; the caller has made sure whose they are. Those that are not there are left out."""
    found = from_json(run(tx, _NAMED, jids=as_list(jids)).fetchone()[0]) if jids else []
    return {row[0]: _row(row) for row in found}


def check_page(limit: int, before: int | None) -> None:
    """Refuse a page that cannot be.

    Raises:
        BadRequest: it is too long, or begins nowhere.
    """
    if not 1 <= limit <= LONGEST_PAGE:
        raise BadRequest(f"a page has 1 to {LONGEST_PAGE} jobs, not {limit}")
    if abs(before or 0) >= 1 << 62:
        raise BadRequest("a jid is out of range")


def _shown(chosen: Select[Any]) -> Select[str]:
    page = chosen.subquery("chosen")
    last = (attempt.c.jid == job.c.jid) & (attempt.c.n == job.c.attempts)
    each = attempt.alias("each")
    paid = select(sql.sum(each.c.amount)).where(each.c.jid == job.c.jid).correlate(job).scalar_subquery()
    rows = (
        select(job.c.jid, job.c.status, submission.c.name, submission.c.label, kind.c.core_type, kind.c.cores, job.c.created,
               sql.coalesce(attempt.c.started, lease.c.started).label("started"), job.c.finished, attempt.c.runtime_us,
               job.c.cause, job.c.attempts, submission.c.parent_jid, attempt.c.cpu_user_us + attempt.c.cpu_system_us,
               attempt.c.peak_memory, attempt.c.figures, paid)
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
    for name in ("runtime", "cpu"):
        made[name] = None if made[name] is None else made[name] / 1e6
    made["peak_memory"] = made["peak_memory"] or None  # 0 = not known
    made["failcnt"] = from_json(made["failcnt"], type=Figures).refused if made["failcnt"] else None
    made["amount"] = None if made["amount"] is None else int(made["amount"])  # a sum is a decimal to PostgreSQL
    return made


_jids = Listed("jids")
_NAMED = _shown(select(_jids.only().label("jid")).select_from(_jids.table))
