"""Give jobs to workers, and take them back unstarted.

    take(tx, worker, kind, want, prefer, now) -> list[Lease]        prefer: jids that running jobs wait for
    specs(tx, submissions) -> list[Spec]                            memory_limit is left to the caller
    started(tx, worker, jobs, now) -> list[int]                     the jids that moved to processing
    returned(tx, worker, jobs, now) -> set[int]                     ready kinds
    due(tx, now) -> set[int]                                        ready kinds: retry times that came
    next_due(tx) -> int | None                                      epoch ms
    in_hand(tx, worker, jids) -> list[Held]

``jobs`` are (jid, n, lease). A lease ends only by an act: finish, revoke, or returned. ``take`` may be written
``durable=False``: a lease that a power cut undoes was not run by anybody who survived it. A job that must never run twice is
given alone in its batch, and then ``take`` asks for the fsync itself.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    null,
    or_,
    select,
    update,
)

from picloud.store.db import must_last
from picloud.store.rows import (
    Given,
    Listed,
    as_list,
    constant,
    cut,
    from_json,
    gathered,
    glued,
    listing,
    one,
    pieces,
    run,
)
from picloud.store.schema import READY, WAITING, argument, job, lease, submission, submission_env, worker
from picloud.wire.job import FIRST_FINAL, Options, Status
from picloud.wire.message import Lease, Spec

DOUBTS = 2
"""A job that was in hand at so many deaths of a worker, started or not, is given out alone."""

Jobs = list[tuple[int, int, bytes]]
"""(jid, n, lease)."""


class Held(msgspec.Struct, array_like=True):
    """One attempt in a worker's hands."""

    jid: int
    n: int
    leased: int
    started: int | None
    alone: int
    status: int
    kind: int
    account: int
    lease: bytes = b""


def take(tx: Connection, worker_id: int, kind: int, want: int, prefer: list[int], now: int, price: int = 0) -> list[Lease]:
    """Lease up to ``want`` ready jobs of a kind: those in ``prefer`` first, then by priority and jid.

    A closed worker gets none. A job with ``restartable=False`` comes as the only one.

    Args:
        price: of a core of this kind, in micro-dollars an hour; the attempts are billed by it, whatever it is when they end.
    """
    if want <= 0 or not one(tx, _ALIVE, worker=worker_id):
        return []
    given: list[Lease] = []
    if prefer:
        given, single = _take(tx, _AWAITED, worker_id, {"kind": kind, "want": want, "prefer": as_list(prefer)}, now, price)
        for lent in given:
            lent.awaited = True
        if single:
            return given
    if len(given) < want:
        given += _take(tx, _NEXT, worker_id, {"kind": kind, "want": want - len(given)}, now, price, behind=bool(given))[0]
    return given


def _take(tx: Connection, choose: Select[str, bytes], worker_id: int, values: dict[str, object], now: int, price: int,
          *, behind: bool = False) -> tuple[list[Lease], bool]:  # fmt: skip
    """Lease what ``choose`` finds; whether that is one job that must never run twice. Where others are given already
    (``behind``) such a job has to wait."""
    text, data = one(tx, choose, **values)
    rows = from_json(text)
    arguments = pieces(data, [row[3] for row in rows])
    first_single = next((at for at, row in enumerate(rows) if not row[2] & _RESTARTABLE), len(rows))
    single = first_single == 0 and bool(rows) and not behind
    rows = rows[:1] if single else rows[:first_single]
    if single:
        must_last(tx)
    secret = os.urandom(16 * len(rows))
    made = [
        Lease(jid, state // 4 + 1, secret[i * 16 : i * 16 + 16], submission_id, arguments[i], blob or "",
              False, state & _ALONE != 0)
        for i, (jid, submission_id, state, _, blob, _) in enumerate(rows)
    ]  # fmt: skip
    if made:
        run(tx, _HOLD, jids=as_list([lent.jid for lent in made]))
        leases = ((lent.jid, lent.n, i * 16, int(lent.alone), rows[i][5]) for i, lent in enumerate(made))
        run(tx, _LEASE, leases=leases, secret=secret, worker_=worker_id, now=now, price_=price)
    return made, single


def specs(tx: Connection, submissions: list[int]) -> list[Spec]:
    """What the jobs of these submissions have in common, with the values of their environment variables."""
    return [
        Spec(row.id, row.account, row.function, from_json(row.modules), row.name, msgspec.json.decode(row.options, type=Options),
             from_json(row.data) if row.data else {}, 0, row.python)
        for row in tx.execute(_SPECS, {"ids": as_list(submissions)})
    ]  # fmt: skip


def in_hand(tx: Connection, worker_id: int, jids: list[int] | None = None) -> list[Held]:
    """The open leases of a worker, all or those among ``jids``, locked with their jobs in the order of jids."""
    if jids is None:
        rows, leases = one(tx, _ALL_IN_HAND, worker=worker_id)
    else:
        rows, leases = one(tx, _IN_HAND, worker=worker_id, jids=as_list(jids))
    found = _decode_held(rows)
    for at, held in enumerate(found):
        held.lease = leases[at * 16 : at * 16 + 16]
    return found


class Holding(msgspec.Struct):
    """The open leases of a worker among some jobs, as far as their ends need it."""

    kind: int
    account: int
    leases: dict[int, tuple[bytes, int]]  # jid -> lease, and 1 where the job was final already


def holding(tx: Connection, worker_id: int, jids: list[int]) -> Holding:
    """The same for a worker's reports, of which there are many: less is read, in fewer words."""
    found, leases, kind, account = one(tx, _HOLDING, worker=worker_id, jids=as_list(jids))
    numbers: list[int] = _decode_numbers(found)
    cuts = {number // 2: (leases[at * 16 : at * 16 + 16], number & 1) for at, number in enumerate(numbers)}
    return Holding(kind or 0, account or 0, cuts)


def _valid(tx: Connection, worker_id: int, jobs: Jobs) -> list[Held]:
    leases = {(jid, n): secret for jid, n, secret in jobs}
    return [held for held in in_hand(tx, worker_id, [jid for jid, _, _ in jobs]) if leases.get((held.jid, held.n)) == held.lease]


def started(tx: Connection, worker_id: int, jobs: Jobs, now: int) -> list[int]:
    """User code of these attempts runs since about ``now``; the jids that moved to processing. Others are ignored."""
    valid = [held for held in _valid(tx, worker_id, jobs) if held.started is None]
    moved = [held.jid for held in valid if held.status == Status.queued]
    if valid:
        run(tx, _STARTED, jids=as_list([held.jid for held in valid]), now=now)
        run(tx, _PROCESSING, jids=as_list(moved))
    return moved


def returned(tx: Connection, worker_id: int, jobs: Jobs, now: int) -> set[int]:
    """Take leases back that never started; they cost no attempt. The kinds that got ready jobs."""
    valid = [held for held in _valid(tx, worker_id, jobs) if held.started is None]
    back = [held for held in valid if held.status == Status.queued]
    if valid:
        run(tx, _DROP, jids=as_list([held.jid for held in valid]))
        run(tx, _BACK, jids=as_list([held.jid for held in back]))
    return {held.kind for held in back}


def due(tx: Connection, now: int) -> set[int]:
    """Queue the jobs whose retry time came; their kinds."""
    kinds: list[int] = listing(tx, _DUE_KINDS, now=now)
    if kinds:
        run(tx, _DUE, now=now)
    return set(kinds)


def next_due(tx: Connection) -> int | None:
    """When the next retry is due, in epoch ms."""
    found: int | None = one(tx, _NEXT_DUE)[0]
    return found


_decode_numbers = msgspec.json.Decoder(list[int]).decode
_decode_held = msgspec.json.Decoder(list[Held]).decode
_jids, _prefer, _ids = Listed("jids"), Listed("prefer"), Listed("ids")
_leases = Given("leases", BigInteger, Integer, Integer, Integer, BigInteger)
_one, _nil = constant(1), constant(0)
_ALONE, _RESTARTABLE = 1, 2
_now = bindparam("now", type_=BigInteger)
_kind, _want = bindparam("kind", type_=BigInteger), bindparam("want", type_=BigInteger)
_worker = bindparam("worker", type_=BigInteger)
_ALIVE = select(worker.c.id).where(worker.c.id == _worker, worker.c.closed.is_(None)).with_for_update(read=True)


def _choose(*where: object) -> Select[str, bytes]:
    """Ready jobs with their arguments, as one row: JSON of the rows, and all argument bytes."""
    chosen = (
        select(job.c.jid, job.c.submission, job.c.attempts, job.c.restartable, job.c.lost, job.c.doubts, job.c.purpose,
               argument.c.data, argument.c.blob)
        .join_from(job, argument, argument.c.jid == job.c.jid)
        .where(*where)  # type: ignore[arg-type]
        .order_by(job.c.priority, job.c.jid)
        .limit(_want)
        .with_for_update(of=job, skip_locked=True)
        .subquery("chosen")
    )  # fmt: skip
    c = chosen.c
    alone = case((or_(c.lost > _nil, c.doubts >= constant(DOUBTS)), constant(_ALONE)), else_=_nil)
    state = c.attempts * constant(4) + c.restartable * constant(_RESTARTABLE) + alone  # in one number, for each field costs
    return select(gathered(c.jid, c.submission, state, func.length(c.data), c.blob, c.purpose), glued(c.data))


_NEXT = _choose(job.c.kind == _kind, READY)
# the sums keep SQLite from walking the whole ready index for a handful of jids
_AWAITED = _choose(
    job.c.jid.in_(_prefer.chosen()), job.c.kind + _nil == _kind, job.c.status + _nil == _one, job.c.held + _nil == _nil
)
_HOLD = update(job).where(job.c.jid.in_(_jids.chosen())).values(held=_one, attempts=job.c.attempts + _one)
_LEASE = insert(lease).from_select(
    ["jid", "n", "lease", "worker", "alone", "leased", "started", "purpose", "price"],
    select(_leases.c(0), _leases.c(1), cut("secret", _leases.c(2), 16), bindparam("worker_", type_=BigInteger),
           _leases.c(3), _now, null(), _leases.c(4), bindparam("price_", type_=BigInteger)),
)  # fmt: skip
_SPECS = (
    select(submission.c.id, submission.c.account, submission.c.function, submission.c.modules, submission.c.name,
           submission.c.options, submission.c.python, submission_env.c.data)
    .outerjoin(submission_env, submission_env.c.submission == submission.c.id)
    .where(submission.c.id.in_(_ids.chosen()))
)  # fmt: skip


def _held(*where: object) -> Any:
    """Leases of a worker with their jobs. Both rows are locked, so that a lease that another transaction is just closing
    is seen as gone."""
    return (
        select(lease.c.jid, lease.c.n, lease.c.leased, lease.c.started, lease.c.alone, job.c.status, job.c.kind, job.c.account,
               lease.c.lease)
        .join_from(lease, job, job.c.jid == lease.c.jid)
        .where(lease.c.worker == _worker, *where)  # type: ignore[arg-type]
        .order_by(lease.c.jid)
        .with_for_update(of=[job, lease])
        .subquery("found")
        .c
    )  # fmt: skip


def _in_full(c: Any) -> Select[str, bytes]:
    return select(gathered(c.jid, c.n, c.leased, c.started, c.alone, c.status, c.kind, c.account), glued(c.lease))


_ALL_IN_HAND = _in_full(_held())
_mentioned = _held(lease.c.jid.in_(_jids.chosen()))
_IN_HAND = _in_full(_mentioned)
_ended = case((_mentioned.status >= constant(int(FIRST_FINAL)), _one), else_=_nil)
_HOLDING = select(gathered(_mentioned.jid * constant(2) + _ended), glued(_mentioned.lease), func.min(_mentioned.kind),
                  func.min(_mentioned.account))  # fmt: skip
_STARTED = update(lease).where(lease.c.jid.in_(_jids.chosen())).values(started=_now)
_PROCESSING = update(job).where(job.c.jid.in_(_jids.chosen())).values(status=int(Status.processing))
_DROP = delete(lease).where(lease.c.jid.in_(_jids.chosen()))
_BACK = update(job).where(job.c.jid.in_(_jids.chosen())).values(held=_nil, attempts=job.c.attempts - _one)
_is_due = and_(WAITING, job.c.due <= _now)
_DUE_KINDS = select(gathered(select(job.c.kind).where(_is_due).distinct().subquery().c.kind))
_DUE = update(job).where(_is_due).values(status=_one, due=null())
_NEXT_DUE = select(func.min(job.c.due)).where(WAITING)
