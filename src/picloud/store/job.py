"""Jobs: what is known of them. The acts in ``store/act`` change them.

    statuses(tx, account, ranges) -> bytes              one Status byte a jid, in the order given; NotFound
    finished(tx, account, ranges, after, limit) -> list[Finished]   final ones with jid > after, by jid, with results
    ready(tx) -> list[Ready]                            what waits for a worker, by kind
    counts(tx, account|None) -> {"waiting", "queued", "processing"}
    delete(tx, account, ranges) -> int                  NotFound, Conflict
    payload(tx, account, jid, part) -> (data, blob)     part: "args" | "result" | "function" -> digest's bytes
    unsent(tx, account, ranges, lock=False) -> Ranges   reserved jids that were not sent yet

Ranges are (first, count) pairs. A jid that was reserved and is not sent yet counts as waiting.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from msgspec import Struct
from sqlalchemy import BigInteger, Connection, bindparam, case, func, null, select
from sqlalchemy import delete as remove

from picloud.store import closing
from picloud.store.certificate import certificate
from picloud.store.rows import (
    EVERY,
    Listed,
    add,
    as_list,
    constant,
    from_json,
    gathered,
    glued,
    hexed,
    merged,
    one,
    pieces,
    run_on,
    span,
    unpack_failure,
)
from picloud.store.rows import listing as listed
from picloud.store.schema import READY, argument, chunk, code, job, kind, lease, log, result, sample, submission
from picloud.wire.error import Conflict, NotFound, TooLarge
from picloud.wire.job import FIRST_FINAL, Cause, Status
from picloud.wire.message import Finished, Ranges

WINDOW = 1 << 16
"""Jids looked at in one step."""
MOST_STATUSES = 50_000_000
"""A byte each."""
HIGHEST = 1 << 60
"""No jid lies above."""
READY_CAP = 1000
"""Ready jobs of a kind are counted up to here."""
COLUMNS = ["jid", "submission", "account", "kind", "priority", "status", "held", "restartable", "attempts", "retried",
           "lost", "doubts", "cause", "due", "created", "finished", "purpose"]  # fmt: skip
"""Of the job table, in the order in which acts insert them."""
_DIGITS = bytes.maketrans(b"0123456789", bytes(range(10)))


def statuses(tx: Connection, account: int, ranges: Ranges) -> bytes:
    """One byte a jid, its :class:`Status`, in the order of the ranges.

    Raises:
        NotFound: a jid is not of this account; the first such one is named.
        TooLarge: more than MOST_STATUSES, which a map of unsent jobs may have.
    """
    made = bytearray()
    reserved = _Reserved(tx, account, ranges)
    for first, count in _windows(account, ranges):
        if len(made) + count > MOST_STATUSES:
            raise TooLarge(f"the states of more than {MOST_STATUSES} jobs at once", hint="ask for parts of the range")
        made += _statuses(tx, account, first, count, reserved)
    return bytes(made)


def _statuses(tx: Connection, account: int, first: int, count: int, reserved: _Reserved) -> bytes:
    place = _place(account, first, count)
    found, digits = one(tx, _STATUSES, **place)
    if found == count:
        return str(digits or "").encode().translate(_DIGITS)
    covered = reserved.ranges  # read before the rows: of what moves from here to there meanwhile, one at least is seen
    known, rows = bytearray(count), listed(tx, _STATUS_PAIRS, **place)
    for gap in _gaps([jid for jid, _ in rows], first, first + count):
        _covered(gap, covered)
    for closed in reserved.closed:
        start, end = max(first, closed.first) - first, min(first + count, closed.end) - first
        if start < end:
            known[start:end] = bytes([int(closed.status)]) * (end - start)
    for jid, status in rows:
        known[jid - first] = status
    return bytes(known)


def finished(tx: Connection, account: int, ranges: Ranges, after: int, limit: int) -> list[Finished]:
    """The final jobs of the account among ``ranges`` with a jid above ``after``, by rising jid, at most ``limit``."""
    made: list[Finished] = []
    for first, count in sorted(ranges):
        start = max(first, after + 1)
        if first + count > start and len(made) < limit:
            made += _finished(tx, account, start, first + count, limit - len(made))
    return made


def _finished(tx: Connection, account: int, start: int, end: int, limit: int) -> list[Finished]:
    rows, data = one(tx, _FINISHED, account=account, first=start, end=end, limit=limit)
    found = from_json(rows)
    made = []
    for row, piece in zip(found, pieces(data, [row[3] or 0 for row in found]), strict=True):
        jid, status, cause, size, blob, failure, blame = row
        told = unpack_failure(bytes.fromhex(failure)) if failure else certificate(Cause(cause), blame) if cause else None
        made.append(Finished(jid, status, None if size is None else piece, blob or "", told))
    return made


def unsent(tx: Connection, account: int, ranges: Ranges, *, lock: bool = False) -> Ranges:
    """Those jids of the ranges that are reserved and have no row: not sent yet, or closed (:mod:`picloud.store.closing`).

    Args:
        lock: keep them so until the transaction ends.

    Raises:
        NotFound: a jid is neither a job of the account nor reserved by it; the first one is named.
    """
    made: Ranges = []
    reserved = _Reserved(tx, account, ranges, lock)
    for first, count in _windows(account, ranges):
        place = _place(account, first, count)
        if one(tx, _COUNT, **place)[0] == count:
            continue
        covered = reserved.ranges
        for gap in _gaps([jid for jid, _ in listed(tx, _STATUS_PAIRS, **place)], first, first + count):
            made += _covered(gap, covered)
    return merged(made)


class _Reserved:
    """The jids of an account that are reserved and may lack rows, read when they are first asked for."""

    def __init__(self, tx: Connection, account: int, within: Ranges, lock: bool = False) -> None:
        self._tx, self._account, self._lock = tx, account, lock
        self._first = min((first for first, _ in within), default=0)
        self._end = max((first + count for first, count in within), default=0)

    @cached_property
    def ranges(self) -> Ranges:
        place = _place(self._account, self._first, self._end - self._first)
        rows = self._tx.execute(_OPEN_SHARED if self._lock else _OPEN, place).all()
        unsent = [gap for row in rows for gap in unsent_of(self._tx, row)]
        return merged([*unsent, *((one.first, one.end - one.first) for one in self.closed)])

    @cached_property
    def closed(self) -> list[closing.Closing]:
        return closing.covering(self._tx, self._account, lock=self._lock)


def _windows(account: int, ranges: Ranges) -> Iterator[tuple[int, int]]:
    """The ranges in pieces that a list in memory can hold."""
    for first, count in ranges:
        _place(account, first, count)
        for start in range(first, first + count, WINDOW):
            yield start, min(WINDOW, first + count - start)


def _place(account: int, first: int, count: int) -> dict[str, int]:
    if count < 0 or first < 0 or first + count > HIGHEST:
        raise NotFound(f"there is no job {first}", jid=first)
    return {"account": account, "first": first, "end": first + count}


def _gaps(jids: list[int], first: int, end: int) -> Ranges:
    gaps, place = [], first
    for jid in [*jids, end]:
        if jid > place:
            gaps.append((place, jid - place))
        place = jid + 1
    return gaps


def _covered(gap: tuple[int, int], by: Ranges) -> Ranges:
    """The gap, cut at the ranges that cover it."""
    made, place, end = [], gap[0], gap[0] + gap[1]
    for first, count in sorted(by):
        if first <= place < first + count:
            stop = min(end, first + count)
            made.append((place, stop - place))
            place = stop
    if place < end:
        raise NotFound(f"there is no job {place}", jid=place, hint="`picloud jobs` lists yours")
    return made


def unsent_of(tx: Connection, s: Any) -> Ranges:
    """The reserved jids of a submission (its row) that no chunk has filled."""
    if s.count is None or s.accepted >= s.count:
        return []
    place, end, gaps = s.first + s.head, s.first + s.count, []
    for row in tx.execute(_CHUNKS, {"submission": s.id}):
        if row.first > place:
            gaps.append((place, row.first - place))
        place = row.first + row.count
    return [*gaps, (place, end - place)] if end > place else gaps


def ranges_of(tx: Connection, s: Any) -> Ranges:
    """All jids of a submission (its row), also reserved ones."""
    if s.count is not None:
        return [(s.first, s.count)] if s.count else []
    head = [(s.first, s.head)] if s.head else []
    return head + [(first, count) for first, count in tx.execute(_CHUNKS, {"submission": s.id}) if count]


class Owner(Struct):
    """What :func:`close_unsent` has to know of a submission, where there is no row of it at hand."""

    id: int
    account: int
    kind: int


def close_unsent(tx: Connection, s: Any, first: int, count: int, cause: Cause, now: int) -> None:
    """End jids of a submission (its row, or an Owner) that were reserved and not sent; if they are many, bite by bite."""
    if count > closing.AT_ONCE:
        closing.begin(tx, s.id, first, count, cause)
    else:
        write_unsent(tx, s, first, count, cause, now)


def write_unsent(tx: Connection, s: Any, first: int, count: int, cause: Cause, now: int) -> None:
    """Their final rows."""
    status = Status.stalled if cause == Cause.dependency else Status.killed
    tx.execute(_UNSENT, {"first": first, "count": count, "submission_": s.id, "account_": s.account, "kind_": s.kind,
                         "status_": int(status), "cause_": int(cause), "now": now})  # fmt: skip


class Ready(Struct):
    """What waits for workers of one kind."""

    kind: int
    account: int
    core_type: str
    cores: int
    count: int  # ready jobs, at most READY_CAP
    priority: int  # the lowest number among them: the most urgent
    env: str = ""
    vol: str = ""


def ready(tx: Connection) -> list[Ready]:
    """The kinds that have ready jobs."""
    return [Ready(*row) for row in listed(tx, _READY) if row[4]]


def counts(tx: Connection, account: int | None = None) -> dict[str, int]:
    """Unfinished jobs (of one account, or of all): waiting, queued, processing. Unsent ones are not counted."""
    mine = () if account is None else (job.c.account == account,)
    waiting = select(func.count()).where(job.c.status == constant(0), *mine)
    in_kinds = select(func.count()).join_from(kind, job, (job.c.kind == kind.c.id) & READY)
    queued = in_kinds if account is None else in_kinds.where(kind.c.account == account)
    begun = case((job.c.jid.in_(select(lease.c.jid).where(lease.c.started.is_not(None))), constant(1)), else_=constant(0))
    held = select(func.count(), func.coalesce(func.sum(begun), constant(0))).where(job.c.jid.in_(select(lease.c.jid)))
    leased, started = map(int, tx.execute(held.where(job.c.status < constant(3), *mine)).one())  # as a join: 50 ms a million
    return {"waiting": tx.execute(waiting).scalar_one(), "queued": tx.execute(queued).scalar_one() + leased - started,
            "processing": started}  # fmt: skip


def check_final(tx: Connection, account: int, ranges: Ranges) -> None:
    """All of these jobs are finished.

    Raises:
        NotFound: a jid is not of this account.
        Conflict: one is unfinished; the first is named.
    """
    reserved = _Reserved(tx, account, ranges)
    for first, count in _windows(account, ranges):
        found = _statuses(tx, account, first, count, reserved)
        if min(found) < FIRST_FINAL:
            jid = next(first + at for at, status in enumerate(found) if status < FIRST_FINAL)
            raise Conflict(f"job {jid} is not finished", jid=jid, hint="kill it first")


def delete(tx: Connection, account: int, ranges: Ranges) -> int:
    """Remove finished jobs with arguments, results, logs and samples; how many there were. The ledger's lines stay.

    Raises:
        NotFound: a jid is not of this account.
        Conflict: one is unfinished.
    """
    check_final(tx, account, ranges)
    gone = 0
    for first, count in ranges:
        place = {"first": first, "end": first + count}
        for table in (argument, result, log, sample):
            tx.execute(remove(table).where(table.c.jid >= bindparam("first"), table.c.jid < bindparam("end")), place)
        within = (job.c.jid >= bindparam("first"), job.c.jid < bindparam("end"))
        gone += tx.execute(remove(job).where(job.c.account == account, *within), place).rowcount
    return gone


def payload(tx: Connection, account: int, jid: int, part: str) -> tuple[bytes, str]:
    """Raw bytes of one job.

    Args:
        part: ``args``, ``result`` or ``function``.

    Returns:
        The data, or b"" and the id of the blob that has it.

    Raises:
        NotFound: no such job, or it has no such part.
    """
    row = tx.execute(_PARTS[part], {"jid": jid, "account": account}).one_or_none() if part in _PARTS else None
    if row is None or (row.data is None and not row.blob):
        raise NotFound(f"job {jid} has no {part}", jid=jid)
    return row.data or b"", row.blob or ""


def _bound(name: str) -> Any:
    return bindparam(name, type_=BigInteger)


_final = constant(int(FIRST_FINAL))
_mine = (job.c.account == _bound("account"), job.c.jid >= _bound("first"), job.c.jid < _bound("end"))
_within = select(job.c.jid, job.c.status).where(*_mine).order_by(job.c.jid).subquery()
_STATUSES = select(func.count(), run_on(_within.c.status)).select_from(_within)
_STATUS_PAIRS = select(gathered(_within.c.jid, _within.c.status))
_COUNT = select(func.count()).where(*_mine)
_COVERING = select(submission).where(
    submission.c.final == constant(0), submission.c.account == _bound("account"), submission.c.count.is_not(None),
    submission.c.first < _bound("end"), submission.c.first + submission.c.count > _bound("first"),
).order_by(submission.c.id)  # fmt: skip
_OPEN, _OPEN_SHARED = _COVERING, _COVERING.with_for_update(read=True)
_CHUNKS = select(chunk.c.first, chunk.c.count).where(chunk.c.submission == _bound("submission")).order_by(chunk.c.first)
_page = (
    select(job.c.jid, job.c.status, job.c.cause, result.c.data, result.c.blob, result.c.failure, submission.c.blame)
    .join_from(job, submission, submission.c.id == job.c.submission)
    .outerjoin(result, result.c.jid == job.c.jid)
    .where(*_mine, job.c.status >= _final)
    .order_by(job.c.jid)
    .limit(bindparam("limit"))
    .subquery()
)
_FINISHED = select(
    gathered(_page.c.jid, _page.c.status, _page.c.cause, func.length(_page.c.data), _page.c.blob, hexed(_page.c.failure),
             _page.c.blame),
    glued(_page.c.data),
)  # fmt: skip
_span = span()
_zero = constant(0)
_UNSENT = add(job).from_select(
    COLUMNS,
    select(_span.c.jid, _bound("submission_"), _bound("account_"), _bound("kind_"), _zero, _bound("status_"), _zero, _zero,
           _zero, _zero, _zero, _zero, _bound("cause_"), null(), _bound("now"), _bound("now"), _zero)
    .select_from(_span).where(EVERY),
)  # fmt: skip
_capped = select(job.c.priority).where(job.c.kind == kind.c.id, READY).correlate(kind).limit(READY_CAP).subquery()
_first = select(job.c.priority).where(job.c.kind == kind.c.id, READY).order_by(job.c.priority).limit(1).scalar_subquery()
_READY = select(
    gathered(kind.c.id, kind.c.account, kind.c.core_type, kind.c.cores,
             select(func.count()).select_from(_capped).scalar_subquery(), func.coalesce(_first, _zero), kind.c.env, kind.c.vol)
)  # fmt: skip
_own = (job.c.jid == _bound("jid"), job.c.account == _bound("account"))
_PARTS = {
    "args": select(argument.c.data, argument.c.blob).join_from(job, argument, argument.c.jid == job.c.jid).where(*_own),
    "result": select(result.c.data, result.c.blob).join_from(job, result, result.c.jid == job.c.jid).where(*_own),
    "function": select(code.c.data, null().label("blob"))
    .join_from(job, submission, submission.c.id == job.c.submission)
    .join(code, (code.c.account == submission.c.account) & (code.c.digest == submission.c.function))
    .where(*_own),
}
_kinds_wanted = Listed("jids")
_KINDS_OF = select(gathered(job.c.kind)).where(job.c.jid.in_(_kinds_wanted.chosen()), READY)


def kinds_of(tx: Connection, jids: list[int]) -> set[int]:
    """The kinds of those jobs that are ready."""
    return set(listed(tx, _KINDS_OF, jids=as_list(jids)))
