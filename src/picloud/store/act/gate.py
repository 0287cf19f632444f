"""Jobs that wait for jobs. Submissions have a gate: shut while a job they depend on is unfinished.

    look(tx, account, options)              -> Parents      what a new submission depends on; locks it
    hold(tx, child, parents)                                records what holds its gate
    held_by_list(tx, jids), held_by(tx, first, count) -> pairs (parent, child)
    announce(tx, child, first, count, now)                  have the ends of these jobs of a submission told, see store.webhook
    spread(tx, pairs, finish, now)                          the parents are final: release or stall the children, recursively

``look`` reads the parents FOR SHARE, and ``spread`` is called after the parents were updated, so on PostgreSQL one of
two racing transactions always sees the other. A gate is decided under the child's own row lock.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field
from sqlalchemy import BigInteger, Connection, bindparam, case, delete, exists, func, select, update

from picloud.store import job as jobs
from picloud.store.act.answer import Finish
from picloud.store.rows import EVERY, Listed, add, as_list, constant, from_json, gathered, listing, merged, run, span
from picloud.store.schema import dependency, job, submission
from picloud.store.webhook import delivery
from picloud.wire.job import FIRST_FINAL, Cause, Options, Status
from picloud.wire.message import Ranges

OPEN, SHUT, STALLED = 0, 1, 2
"""``submission.gate``."""

Pairs = list[tuple[int, int]]
"""(parent jid, child submission)."""


class Parents(Struct):
    """What a new submission depends on."""

    state: int = OPEN
    blame: int | None = None
    ranges: Ranges = field(default_factory=list)  # with rows, some unfinished
    unsent: Ranges = field(default_factory=list)  # without rows yet


def look(tx: Connection, account: int, options: Options) -> Parents:
    """Lock the jobs that ``options.depends_on`` names and say whether the gate is open.

    Raises:
        NotFound: one of them is not of this account.
    """
    found = Parents()
    if not options.depends_on:
        return found
    found.ranges = merged(options.depends_on)
    found.unsent = jobs.unsent(tx, account, found.ranges, lock=True)
    unfinished = bool(found.unsent)
    for first, count in found.ranges:
        row = tx.execute(_PARENTS, {"first": first, "end": first + count}).one()
        unfinished |= bool(row.unfinished)
        if row.failed is not None and not options.ignore_dependency_errors:
            return Parents(STALLED, row.failed)
    found.state = SHUT if unfinished else OPEN
    return found


def hold(tx: Connection, child: int, parents: Parents) -> None:
    """Record what holds the gate of submission ``child``."""
    if parents.state != SHUT:
        return
    for first, count in parents.ranges:
        tx.execute(_HOLD, {"first": first, "end": first + count, "child_": child})
    for first, count in parents.unsent:
        tx.execute(_HOLD_UNSENT, {"first": first, "count": count, "child_": child})


def announce(tx: Connection, submission_id: int, first: int, count: int, now: int) -> None:
    """Have the ends of new jobs told to webhooks: those that have ended already now, the others when they do.

    A job stands for that in the list of those that hold gates, so whoever ends it meets it there, and other jobs cost nothing.
    """
    run(tx, _ANNOUNCE, first=first, end=first + count, child_=-submission_id)
    if ended := listing(tx, _ENDED, first=first, end=first + count, submission=submission_id):
        delivery.announce(tx, [(jid, submission_id) for jid in ended], now)


def held_by_list(tx: Connection, jids: list[int]) -> Pairs:
    """Which submissions wait for these jobs."""
    return listing(tx, _HELD_LIST, jids=as_list(jids)) if jids else []


def held_by(tx: Connection, first: int, count: int) -> Pairs:
    """Which submissions wait for jobs of this range."""
    return listing(tx, _HELD_RANGE, first=first, end=first + count)


def spread(tx: Connection, pairs: Pairs, finish: Finish, now: int) -> None:
    """The parents in ``pairs`` are final: take them off their children's gates, and open or stall those that this decides.

    What changes is added to ``finish``. Stalled submissions stall those that depend on them.
    """
    while pairs:
        parents_of: dict[int, list[int]] = {}
        for parent, child in pairs:
            parents_of.setdefault(child, []).append(parent)
        if told := [(parent, -child) for parent, child in pairs if child < 0]:
            delivery.announce(tx, told, now)
        jids, children = as_list({parent for parent, _ in pairs}), as_list(sorted(parents_of))
        rows = tx.execute(_CHILDREN, {"children": children}).all()
        failed = set(listing(tx, _FAILED, jids=jids))
        tx.execute(_LET_GO, {"jids": jids, "children": children})
        pairs = []
        for row in rows:
            blame = min(failed.intersection(parents_of[row.id]), default=None)
            pairs += _decide(tx, row, blame, finish, now)


def _decide(tx: Connection, s: Any, blame: int | None, finish: Finish, now: int) -> Pairs:
    """Stall the submission in row ``s`` for the failure of job ``blame``, or open its gate where nothing holds it; the
    pairs that a stall decides next."""
    if s.gate != SHUT:
        return []
    if blame is not None and not from_json(s.options).get("ignore_dependency_errors"):
        return _stall(tx, s, blame, finish, now)
    if not tx.execute(_STILL_HELD, {"child": s.id}).scalar_one():
        tx.execute(_SET_GATE, {"id_": s.id, "gate_": OPEN, "blame_": None})
        for first, count in jobs.ranges_of(tx, s):
            tx.execute(_MOVE, {"submission_": s.id, "first": first, "end": first + count, "status_": int(Status.queued),
                               "cause_": 0, "finished_": None})  # fmt: skip
        finish.ready_kinds.add(s.kind)
    return []


def _stall(tx: Connection, s: Any, blame: int, finish: Finish, now: int) -> Pairs:
    tx.execute(_SET_GATE, {"id_": s.id, "gate_": STALLED, "blame_": blame})
    tx.execute(delete(dependency).where(dependency.c.child == s.id))
    for first, count in jobs.unsent_of(tx, s):
        jobs.close_unsent(tx, s, first, count, Cause.dependency, now)
    pairs: Pairs = []
    for first, count in jobs.ranges_of(tx, s):
        tx.execute(_MOVE, {"submission_": s.id, "first": first, "end": first + count, "status_": int(Status.stalled),
                           "cause_": int(Cause.dependency), "finished_": now})  # fmt: skip
        finish.closed.append((first, count))
        pairs += held_by(tx, first, count)
    return pairs


def _bound(name: str) -> Any:
    return bindparam(name, type_=BigInteger)


_jids, _children = Listed("jids"), Listed("children")
_final = constant(int(FIRST_FINAL))
_within = (job.c.jid >= _bound("first"), job.c.jid < _bound("end"))
_parents = select(job.c.jid, job.c.status).where(*_within).order_by(job.c.jid).with_for_update(read=True).subquery()
_PARENTS = select(
    func.min(_parents.c.jid).filter(_parents.c.status < _final).label("unfinished"),
    func.min(_parents.c.jid).filter(_parents.c.status > _final).label("failed"),
)
_HOLD = add(dependency).from_select(
    ["parent", "child"], select(job.c.jid, _bound("child_")).where(*_within, job.c.status < _final)
)
_ANNOUNCE = add(dependency).from_select(
    ["parent", "child"], select(job.c.jid, _bound("child_")).where(*_within, job.c.status < _final)
)
_ENDED = select(
    gathered(select(job.c.jid).where(*_within, job.c.status >= _final, job.c.submission == _bound("submission")).subquery().c.jid)
)
_span = span()
_HOLD_UNSENT = add(dependency).from_select(["parent", "child"], select(_span.c.jid, _bound("child_")).where(EVERY))
_held = select(gathered(dependency.c.parent, dependency.c.child)).where(dependency.c.parent.in_(_jids.chosen()))
_anything = select(dependency.alias("anything").c.parent).exists()
_HELD_LIST = select(case((_anything, _held.scalar_subquery())))
"""Mostly nothing waits at all, and then the list is not read."""
_HELD_RANGE = (
    select(gathered(dependency.c.parent, dependency.c.child))
    .join_from(dependency, job, job.c.jid == dependency.c.parent)
    .where(dependency.c.parent >= _bound("first"), dependency.c.parent < _bound("end"), job.c.status >= _final)
)
_CHILDREN = select(submission).where(submission.c.id.in_(_children.chosen())).order_by(submission.c.id).with_for_update()
_FAILED = select(gathered(job.c.jid)).where(job.c.jid.in_(_jids.chosen()), job.c.status > _final)
_LET_GO = delete(dependency).where(dependency.c.parent.in_(_jids.chosen()), dependency.c.child.in_(_children.chosen()))
_STILL_HELD = select(exists().where(dependency.c.child == _bound("child")))
_SET_GATE = update(submission).where(submission.c.id == _bound("id_")).values(gate=_bound("gate_"), blame=_bound("blame_"))
_MOVE = (
    update(job)
    .where(job.c.submission == _bound("submission_"), *_within, job.c.status == constant(0), job.c.due.is_(None))
    .values(status=_bound("status_"), cause=_bound("cause_"), finished=_bound("finished_"))
)
