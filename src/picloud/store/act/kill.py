"""End jobs by their owner's wish.

    kill(tx, account, ranges | None, now, *, limit=10_000) -> (Finish, running)

``running`` are the attempts (worker, jid, n) that are still in hand and shall be told; they close when the worker reports or is
revoked. ``Finish.closed`` are the jids killed, and those stalled by it; ``Finish.ended`` counts the killed. Where ``Finish.more``
is set the limit was reached: call again.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Connection, bindparam, null, select, union_all, update

from picloud.store import closing
from picloud.store import job as jobs
from picloud.store.act import gate
from picloud.store.act.answer import Finish
from picloud.store.rows import Listed, as_list, constant, gathered, listing, merged
from picloud.store.schema import READY, WAITING, job, kind, lease, submission
from picloud.wire.job import FIRST_FINAL, Cause, Status
from picloud.wire.message import Ranges


def kill(tx: Connection, account: int, ranges: Ranges | None, now: int, *, limit: int = 10_000, cause: Cause = Cause.killed
         ) -> tuple[Finish, list[tuple[int, int, int]]]:  # fmt: skip
    """Kill the unfinished jobs among ``ranges``, or all of the account where that is None.

    Args:
        cause: told of those that were sent.

    Raises:
        NotFound: a jid is not of this account.
    """
    wanted = None if ranges is None else merged(ranges)
    finish = Finish()
    unsent, finish.more = _close_unsent(tx, account, wanted, limit, now)
    jids = _all(tx, account, limit) if wanted is None else _among(tx, account, wanted, limit)
    finish.more |= len(jids) == limit
    if jids:
        tx.execute(_KILL, {"jids": as_list(jids), "now": now, "cause_": int(cause)})
    finish.closed = merged([*unsent, *((jid, 1) for jid in jids)])
    finish.ended = sum(count for _, count in finish.closed)
    running: list[tuple[int, int, int]] = [(w, jid, n) for w, jid, n in listing(tx, _RUNNING, jids=as_list(jids))]
    pairs = gate.held_by_list(tx, jids)
    for first, count in unsent:
        pairs += gate.held_by(tx, first, count)
    gate.spread(tx, pairs, finish, now)
    return finish, running


def _close_unsent(tx: Connection, account: int, wanted: Ranges | None, limit: int, now: int) -> tuple[Ranges, bool]:
    """Make killed jobs of what was not sent yet; when it comes it finds its place taken, or its submission closed.

    Returns:
        What was closed, and whether the limit left something.
    """
    gaps = None if wanted is None else jobs.unsent(tx, account, wanted)
    if gaps == []:
        return [], False
    closed: Ranges = []
    left = limit
    for s in tx.execute(_OPEN, {"account": account}).all():
        if s.gate == gate.STALLED:
            continue  # what it has not sent has ended already
        rest = jobs.unsent_of(tx, s)
        mine = rest if gaps is None else _both(rest, gaps)
        if (size := sum(count for _, count in mine)) > closing.AT_ONCE:
            if gaps is None or merged(mine) == jobs.unsent(tx, account, rest):
                tx.execute(_COMPLETE, {"id_": s.id})  # nothing may take the place of what has no row yet
            else:
                mine, left = _first(mine, left), max(0, left - size)
        for first, count in mine:
            jobs.close_unsent(tx, s, first, count, Cause.killed, now)
        closed += mine
    return closed, left == 0


def _first(ranges: Ranges, most: int) -> Ranges:
    """The first jids of the ranges, at most so many."""
    made = []
    for first, count in ranges:
        if most > 0:
            made.append((first, min(count, most)))
            most -= count
    return made


def _both(left: Ranges, right: Ranges) -> Ranges:
    """What lies in both lists."""
    made = []
    for a, n in left:
        for b, m in right:
            first, end = max(a, b), min(a + n, b + m)
            if end > first:
                made.append((first, end - first))
    return made


def _among(tx: Connection, account: int, wanted: Ranges, limit: int) -> list[int]:
    jids: list[int] = []
    for first, count in wanted:
        if len(jids) < limit:
            place = {"account": account, "first": first, "end": first + count, "limit": limit - len(jids)}
            jids += listing(tx, _UNFINISHED, **place)
    return jids


def _all(tx: Connection, account: int, limit: int) -> list[int]:
    jids: list[int] = listing(tx, _EVERYWHERE, account=account, limit=limit)
    return listing(tx, _LOCKED, jids=as_list(sorted(set(jids))))


def _bound(name: str) -> Any:
    return bindparam(name, type_=BigInteger)


_jids = Listed("jids")
_unfinished = job.c.status < constant(int(FIRST_FINAL))
_mine = job.c.account == _bound("account")
_limit = _bound("limit")
_UNFINISHED = select(
    gathered(
        select(job.c.jid)
        .where(_mine, job.c.jid >= _bound("first"), job.c.jid < _bound("end"), _unfinished)
        .order_by(job.c.jid)
        .limit(_limit)
        .with_for_update()
        .subquery()
        .c.jid
    )
)
# unfinished jobs are ready, in hand, or waiting: three small indexes instead of a walk over all jobs
_ready = select(job.c.jid).join_from(kind, job, (job.c.kind == kind.c.id) & READY).where(kind.c.account == _bound("account"))
_held = select(job.c.jid).join_from(lease, job, job.c.jid == lease.c.jid).where(_mine, _unfinished)
_waiting = select(job.c.jid).where(WAITING, _mine)
_EVERYWHERE = select(gathered(union_all(_ready, _held, _waiting).limit(_limit).subquery().c.jid))
_LOCKED = select(
    gathered(
        select(job.c.jid).where(job.c.jid.in_(_jids.chosen()), _unfinished).order_by(job.c.jid).with_for_update().subquery().c.jid
    )
)
_KILL = (
    update(job)
    .where(job.c.jid.in_(_jids.chosen()), _unfinished)
    .values(status=int(Status.killed), cause=_bound("cause_"), finished=_bound("now"), due=null())
)
_RUNNING = select(gathered(lease.c.worker, lease.c.jid, lease.c.n)).where(lease.c.jid.in_(_jids.chosen()))
_COMPLETE = update(submission).where(submission.c.id == bindparam("id_")).values(final=1)
_OPEN = (
    select(submission)
    .where(submission.c.final == constant(0), submission.c.account == _bound("account"), submission.c.count.is_not(None))
    .order_by(submission.c.id)
    .with_for_update()
)
