"""End attempts, and with most of them their jobs.

    finish(tx, worker, outcomes, now) -> Finish
    conclude(tx, worker, endings, now) -> Finish    the common end of finish and revoke

An outcome counts only for the lease it was made under; others are answered as ``stale``. What an end means:

* the job was killed meanwhile: the attempt closes, its result is dropped
* an exception that may be retried, with tries left: queued again, or waiting for its retry time
* ``worker_lost``: tried again, from then on alone on its slot; the job is held responsible, cause ``signal``, at the
  MAX_ATTEMPTS-th death that counts (the first may hit any job that was on a slot; the later ones happen alone). A job that
  must not be restarted ends at once.
* everything else: final

A final end releases or stalls the jobs that waited for this one.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Literal

import msgspec
from sqlalchemy import BigInteger, Connection, Text, bindparam, delete, insert, literal_column, select, update

from picloud.store import blob
from picloud.store.act import gate
from picloud.store.act.answer import Finish
from picloud.store.act.lease import Held, in_hand
from picloud.store.certificate import certificate
from picloud.store.rows import Listed, as_list, cut, pack, text
from picloud.store.schema import attempt, job, lease, result, submission
from picloud.wire.job import FIRST_FINAL, MAX_ATTEMPTS, Cause, Failure, Options, Status, status_of
from picloud.wire.message import Finished, Outcome

Weight = Literal["lost", "doubt", "free"]
"""How a ``worker_lost`` end is held against its job."""


class Ending(msgspec.Struct):
    """The end of one attempt in hand."""

    held: Held
    outcome: Outcome
    weight: Weight = "lost"


def finish(tx: Connection, worker: int, outcomes: list[Outcome], now: int) -> Finish:
    """Accept what a worker reports.

    Args:
        worker: its id.
        outcomes: ends of attempts; each is accepted at most once, however often and late it is sent.
        now: epoch ms.
    """
    held = {one.jid: one for one in in_hand(tx, worker, [o.jid for o in outcomes])}
    endings, stale = [], []
    for outcome in outcomes:
        mine = held.pop(outcome.jid, None)
        if mine is not None and mine.n == outcome.n and mine.lease == outcome.lease.hex():
            endings.append(Ending(mine, outcome))
        else:
            stale.append((outcome.jid, outcome.n))
            if mine is not None:
                held[outcome.jid] = mine
    answer = conclude(tx, worker, endings, now)
    answer.stale = stale
    return answer


def conclude(tx: Connection, worker: int, endings: list[Ending], now: int) -> Finish:
    """Close these attempts, whose leases and jobs are locked, and move their jobs."""
    answer = Finish()
    if not endings:
        return answer
    _check_blobs(tx, endings, now)
    plan = _Plan(tx, worker, now)
    for ending in endings:
        plan.add(ending)
    plan.write(answer)
    gate.spread(tx, gate.held_by_list(tx, [one.jid for one in answer.moved]), answer, now)
    return answer


def _check_blobs(tx: Connection, endings: list[Ending], now: int) -> None:
    """A result whose blob is not there cannot be kept: its job ends with cause ``storage``."""
    named = [e for e in endings if e.outcome.blob]
    for account in {e.held.account for e in named}:
        mine = [e for e in named if e.held.account == account]
        live = blob.touch(tx, account, [e.outcome.blob for e in mine], now)
        for ending in mine:
            if ending.outcome.blob not in live:
                told = Failure("storage", f"the result's blob {ending.outcome.blob} never arrived", "rerun the job")
                ending.outcome = msgspec.structs.replace(ending.outcome, cause=int(Cause.storage), blob="", failure=told)


class _Plan:
    """The rows that a batch of ends will write, collected first so that the writing is a fixed number of steps."""

    def __init__(self, tx: Connection, worker: int, now: int) -> None:
        self.tx, self.worker, self.now = tx, worker, now
        self.closed: list[tuple[Ending, bytes | None]] = []
        self.final: list[tuple[Finished, str]] = []  # with the result's preview
        self.by_cause: dict[Cause, list[int]] = defaultdict(list)
        self.again: dict[tuple[int, str], list[int]] = defaultdict(list)  # (due or 0, counter) -> jids
        self.ready_kinds: set[int] = set()
        self._options: dict[int, Options] = {}

    def add(self, ending: Ending) -> None:
        """Decide what one end means."""
        held, outcome = ending.held, ending.outcome
        cause = Cause(outcome.cause) if 0 <= outcome.cause <= max(Cause) else Cause.exit
        if held.status >= FIRST_FINAL:
            self.closed.append((ending, None))
        elif cause == Cause.none:
            self._end(ending, cause, None)
        elif cause == Cause.exception and outcome.retry and held.retried < self._option(held).retries:
            delay = self._option(held).retry_delay_ms
            self._again(ending, "retried", self.now + delay if delay > 0 else 0)
        elif cause == Cause.worker_lost and held.restartable and not self._responsible(ending):
            self._again(ending, {"lost": "lost", "doubt": "doubts", "free": ""}[ending.weight], 0)
        elif cause == Cause.worker_lost and held.restartable:
            self._end(ending, Cause.signal, outcome.failure)
        else:
            self._end(ending, cause, outcome.failure)

    def _responsible(self, ending: Ending) -> bool:
        return ending.weight == "lost" and ending.held.lost + 1 >= MAX_ATTEMPTS

    def _end(self, ending: Ending, cause: Cause, failure: Failure | None) -> None:
        outcome = ending.outcome
        self.closed.append((ending, None))
        self.by_cause[cause].append(outcome.jid)
        if cause == Cause.none:
            done = Finished(outcome.jid, int(Status.done), None if outcome.blob else outcome.data, outcome.blob)
        else:
            told = failure or certificate(cause)
            if told.cause != cause.name:
                told = msgspec.structs.replace(told, cause=cause.name)
            done = Finished(outcome.jid, int(status_of(cause)), failure=told)
        self.final.append((done, outcome.preview))

    def _again(self, ending: Ending, counted: str, due: int) -> None:
        self.closed.append((ending, pack(ending.outcome.failure) if ending.outcome.failure else None))
        self.again[due, counted].append(ending.held.jid)
        if not due:
            self.ready_kinds.add(ending.held.kind)

    def _option(self, held: Held) -> Options:
        if held.submission not in self._options:
            found = self.tx.execute(_OPTIONS, {"id": held.submission}).scalar_one()
            self._options[held.submission] = msgspec.json.decode(found, type=Options)
        return self._options[held.submission]

    def write(self, answer: Finish) -> None:
        """Write it all."""
        self._write_attempts()
        self._write_results()
        for cause, jids in self.by_cause.items():
            self.tx.execute(_END, {"jids": as_list(jids), "status_": int(status_of(cause)), "cause_": int(cause),
                                   "now": self.now})  # fmt: skip
        for (due, counted), jids in self.again.items():
            status = Status.waiting if due else Status.queued
            self.tx.execute(_AGAIN[counted], {"jids": as_list(jids), "status_": int(status), "due_": due or None})
        answer.moved = [done for done, _ in self.final]
        answer.ended = len(self.final)
        answer.ready_kinds |= self.ready_kinds

    def _write_attempts(self) -> None:
        rows, failures, at = [], [], 0
        for ending, failure in self.closed:
            h, o = ending.held, ending.outcome
            rows.append((h.jid, h.n, h.account, h.kind, o.cause, h.leased, h.started or o.started_ms or None, o.runtime_us,
                         o.cpu_user_us, o.cpu_system_us, o.peak_memory, at, None if failure is None else len(failure)))  # fmt: skip
            if failure is not None:
                failures.append(failure)
                at += len(failure)
        jids = as_list([row[0] for row in rows])
        self.tx.execute(_CLOSE, {
            "rows": as_list(rows), "leases": b"".join([e.outcome.lease for e, _ in self.closed]), "now": self.now,
            "data": b"".join(failures), "worker_": self.worker,
        })  # fmt: skip
        self.tx.execute(_DROP, {"jids": jids})

    def _write_results(self) -> None:
        if not self.final:
            return
        rows, parts, at = [], [], 0
        for done, preview in self.final:
            told = pack(done.failure) if done.failure is not None else None
            size, told_size = None if done.data is None else len(done.data), None if told is None else len(told)
            rows.append((done.jid, at, size, done.blob or None, text(preview), at + (size or 0), told_size))
            parts += [done.data or b"", told or b""]
            at += (size or 0) + (told_size or 0)
        self.tx.execute(_RESULTS, {"rows": as_list(rows), "data": b"".join(parts)})


_rows, _jids = Listed("rows"), Listed("jids")
_nil = literal_column("0")
_now = bindparam("now", type_=BigInteger)
_CLOSE = insert(attempt).from_select(
    ["jid", "n", "account", "kind", "cause", "leased", "started", "runtime_us", "cpu_user_us", "cpu_system_us",
     "peak_memory", "failure", "lease", "worker", "ended"],
    select(_rows.c(0), _rows.c(1), _rows.c(2), _rows.c(3), _rows.c(4), _rows.c(5), _rows.c(6), _rows.c(7), _rows.c(8),
           _rows.c(9), _rows.c(10), cut("data", _rows.c(11), _rows.c(12)),
           cut("leases", _rows.key * literal_column("16"), 16), bindparam("worker_", type_=BigInteger), _now)
    .select_from(_rows.table),
)  # fmt: skip
"""The lines of the ledger."""
_DROP = delete(lease).where(lease.c.jid.in_(_jids.chosen()))
_RESULTS = insert(result).from_select(
    ["jid", "data", "blob", "preview", "failure"],
    select(_rows.c(0), cut("data", _rows.c(1), _rows.c(2)), _rows.c(3, Text), _rows.c(4, Text),
           cut("data", _rows.c(5), _rows.c(6))).select_from(_rows.table),
)  # fmt: skip
_unfinished = job.c.status < literal_column(str(int(FIRST_FINAL)))
_mine = (job.c.jid.in_(_jids.chosen()), _unfinished)
_status, _due = bindparam("status_", type_=BigInteger), bindparam("due_", type_=BigInteger)
_END = update(job).where(*_mine).values(status=_status, cause=bindparam("cause_", type_=BigInteger), held=_nil, finished=_now)
_AGAIN = {
    counted: update(job).where(*_mine).values(
        status=_status, held=_nil, due=_due, **({counted: job.c[counted] + literal_column("1")} if counted else {})
    )
    for counted in ("", "retried", "lost", "doubts")
}  # fmt: skip
"""Another attempt, counted in that column."""
_OPTIONS = select(submission.c.options).where(submission.c.id == bindparam("id"))
