"""Calls and maps as one row each, newest first, however many jobs they have.

    newest(tx, account, choice, *, before=None, limit=50) -> (list[dict], next | None)
    of_parent(tx, account, jid, limit) -> (list[dict], count of their jobs)      what a job has submitted

How many jobs of a map are in which state comes from indexes on the few that are not done: those that failed, are ready, are
leased, or wait. The rest is done. What takes longest is to count the rows of a range, 50 ms a million.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Connection, Select, bindparam, case, func, select

from picloud.store import closing, image, listing
from picloud.store.act.gate import OPEN
from picloud.store.choice import Choice, of_submissions
from picloud.store.listing import check_page
from picloud.store.rows import Listed, as_list, constant, run
from picloud.store.schema import FAILED, READY, attempt, chunk, job, kind, lease, submission
from picloud.wire.job import FIRST_FINAL, Options, Status
from picloud.wire.message import Ranges

MOST_RANGES = 1000
"""Of one row in an answer; a map that was sent without its length has one a chunk."""
SUMMED = 1000
"""Jobs of a map at most whose figures are summed up."""


def newest(tx: Connection, account: int, choice: Choice | None = None, *, before: int | None = None, limit: int = 50
           ) -> tuple[list[dict[str, Any]], int | None]:  # fmt: skip
    """One page of the account's submissions that have jobs, by falling first jid.

    Args:
        choice: those with a job that fits; times are of the submission.
        before: only those whose first jid is below.
        limit: rows at most.

    Returns:
        The rows, and what to give as ``before`` for the following page; None at the end.

    Raises:
        BadRequest: no such state or cause, or a bad limit.
    """
    check_page(limit, before)
    where = of_submissions(tx, account, choice or Choice())
    if where is None:
        return [], None
    made: list[dict[str, Any]] = []
    place = before
    while True:
        further = where if place is None else [*where, submission.c.first < place]
        chosen = select(submission.c.id).where(*further).order_by(submission.c.first.desc()).limit(limit + 1)  # by an index alone
        rows = tx.execute(_shown().where(submission.c.id.in_(chosen)).order_by(submission.c.first.desc())).all()
        for told in _told(tx, account, rows[:limit]):
            if len(made) == limit:
                return made, made[-1]["jid_first"]
            made.append(told)
        if len(rows) <= limit:
            return made, None
        place = int(rows[limit - 1].first)


def of_parent(tx: Connection, account: int, jid: int, limit: int = 100) -> tuple[list[dict[str, Any]], int]:
    """What a job has submitted while it ran, the first ``limit`` calls and maps of it; and how many jobs in all."""
    mine = (submission.c.account == account, submission.c.parent_jid == jid)
    jobs = tx.execute(select(func.coalesce(func.sum(func.coalesce(submission.c.count, submission.c.accepted)), 0)).where(*mine))
    rows = tx.execute(_shown().where(*mine).order_by(submission.c.id).limit(limit)).all()
    return _told(tx, account, rows), int(jobs.scalar_one())


def _shown() -> Select[Any]:
    s = submission.c
    return (
        select(s.id, s.first, s.count, s.head, s.accepted, s.final, s.gate, s.name, s.label, s.options, s.created, s.parent_jid,
               s.kind, kind.c.core_type, kind.c.cores, kind.c.env)
        .join_from(submission, kind, kind.c.id == s.kind)
    )  # fmt: skip


def _told(tx: Connection, account: int, rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Rows for people, in their order; those of which no job is left are not among them."""
    if not rows:
        return []
    spans = _spans(tx, rows)
    places = [(at, first, first + count, row.kind, _options(row).priority)
              for at, row in enumerate(rows) for first, count in spans[row.id]]  # fmt: skip
    there = _counts(tx, _THERE, places)
    failed = _counts(tx, _FAILED, places, account=account)
    ready = _counts(tx, _READY, places)
    ids = as_list([row.id for row in rows])
    held = {number: (int(leased), int(started)) for number, leased, started in run(tx, _HELD, ids=ids).fetchall()}
    due = dict(run(tx, _DUE, ids=ids).fetchall())
    closed = closing.covering(tx, account)
    images = image.shown(tx, {row.env for row in rows})
    alone = listing.of_jids(tx, [row.first for at, row in enumerate(rows) if row.count == 1 and there[at]])
    few = [place[:3] for place in places if place[2] - place[1] <= SUMMED and 1 < there[place[0]] <= SUMMED]
    used = _used(tx, few)
    made = []
    for at, row in enumerate(rows):
        leased, started = held.get(row.id, (0, 0))
        ended = sum(one.end - one.first for one in closed if one.submission == row.id)
        unsent = row.count - row.accepted if row.count is not None and not row.final else 0
        waiting = due.get(row.id, 0) if row.gate == OPEN else there[at] - failed[at]  # behind a gate nothing else can be
        done = max(0, there[at] - failed[at] - ready[at] - leased - waiting)
        if there[at] + ended + unsent:
            made.append(_row(row, spans[row.id], images, {
                "count": there[at] + ended + unsent, "done": done, "failed": failed[at] + ended,
                "running": started, "queued": ready[at] + leased - started, "waiting": waiting + unsent,
            }) | {"job": alone.get(row.first), "used": used.get(at)})  # fmt: skip
    return made


def _row(row: Any, ranges: Ranges, images: dict[str, image.Shown], counts: dict[str, int]) -> dict[str, Any]:
    shown = images.get(row.env)
    return {
        "submission": row.id, "jid_first": row.first, "jid_last": max(first + count for first, count in ranges) - 1,
        "ranges": ranges[:MOST_RANGES], **counts,
        "over": counts["done"] + counts["failed"] == counts["count"] and bool(row.final),
        "function": row.name, "label": row.label, "core_type": row.core_type, "cores": row.cores,
        "env": shown.name if shown else None, "queue": _options(row).queue, "created": row.created, "parent_jid": row.parent_jid,
    }  # fmt: skip


def _used(tx: Connection, places: Sequence[tuple[int, ...]]) -> dict[int, dict[str, Any]]:
    """What the attempts of the jobs in these places come to, by place."""
    made: dict[int, dict[str, Any]] = {}
    for at, runtime, cpu, peak, amount in run(tx, _USED, places=as_list(places)).fetchall() if places else []:
        made[at] = {"runtime": float(runtime) / 1e6, "cpu": float(cpu) / 1e6, "peak_memory": peak or None, "amount": int(amount)}
    return made


def _options(row: Any) -> Options:
    return msgspec.json.decode(row.options, type=Options)


def _spans(tx: Connection, rows: Iterable[Any]) -> dict[int, Ranges]:
    """The jids of submissions, reserved ones too."""
    made: dict[int, Ranges] = {row.id: [(row.first, row.head if row.count is None else row.count)] for row in rows}
    endless = [row.id for row in rows if row.count is None]
    for number, first, count in run(tx, _CHUNKS, ids=as_list(endless)).fetchall() if endless else []:
        made[number].append((first, count))
    return {number: [one for one in ranges if one[1]] or ranges[:1] for number, ranges in made.items()}


def _counts(tx: Connection, statement: Any, places: Sequence[tuple[int, ...]], **values: int) -> defaultdict[int, int]:
    return defaultdict(int, run(tx, statement, places=as_list(places), **values).fetchall())


_ids, _places = Listed("ids"), Listed("places")
_at, _nil = _places.c(0), constant(0)
_within = (job.c.jid >= _places.c(1), job.c.jid < _places.c(2))


def _counted(*where: Any) -> Any:
    """Jobs in each of the places: joined from these, so that each is one walk along an index."""
    inside = select(func.count()).where(*_within, *where).correlate(_places.table).scalar_subquery()
    each = select(_at.label("at"), inside.label("jobs")).select_from(_places.table).subquery("each")
    return select(each.c.at, func.sum(each.c.jobs)).group_by(each.c.at)


_THERE = _counted()
_FAILED = _counted(job.c.account == bindparam("account", type_=BigInteger), FAILED)
_READY = _counted(job.c.kind == _places.c(3), job.c.priority == _places.c(4), READY)
_USED = (
    select(_at, func.sum(attempt.c.runtime_us), func.sum(attempt.c.cpu_user_us + attempt.c.cpu_system_us),
           func.max(attempt.c.peak_memory), func.sum(attempt.c.amount))
    .join_from(_places.table, attempt, (attempt.c.jid >= _places.c(1)) & (attempt.c.jid < _places.c(2)))
    .group_by(_at)
)  # fmt: skip
_started = select(lease.c.jid).where(lease.c.started.is_not(None))
_HELD = (
    select(job.c.submission, func.count(), func.sum(case((job.c.jid.in_(_started), constant(1)), else_=_nil)))
    .where(job.c.jid.in_(select(lease.c.jid)), job.c.status < constant(int(FIRST_FINAL)), job.c.submission.in_(_ids.chosen()))
    .group_by(job.c.submission)
)
"""From the leases, which are few: as a join, SQLite would begin with the jobs."""
_DUE = (
    select(job.c.submission, func.count())
    .where(job.c.status == constant(int(Status.waiting)), job.c.due > constant(0), job.c.submission.in_(_ids.chosen()))
    .group_by(job.c.submission)
)
_CHUNKS = (
    select(chunk.c.submission, chunk.c.first, chunk.c.count)
    .where(chunk.c.submission.in_(_ids.chosen()), chunk.c.count > constant(0))
    .order_by(chunk.c.submission, chunk.c.first)
)
