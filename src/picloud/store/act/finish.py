"""End attempts, and with most of them their jobs.

    finish(tx, worker, outcomes, now) -> Finish
    conclude(tx, endings, kind, account, now)       the common end of finish and revoke

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
from itertools import accumulate
from typing import Literal

import msgspec
from sqlalchemy import BigInteger, Connection, Integer, Text, bindparam, delete, func, insert, literal_column, select, update

from picloud.store import blob
from picloud.store.act import gate
from picloud.store.act.answer import Finish
from picloud.store.act.lease import holding
from picloud.store.certificate import certificate
from picloud.store.meter import spent
from picloud.store.rows import Given, Listed, as_list, constant, cut, gathered, one, pack, run, text, to_json
from picloud.store.schema import attempt, job, kind, lease, result, submission
from picloud.wire.job import FIRST_FINAL, MAX_ATTEMPTS, Cause, Failure, Options, Status, status_of
from picloud.wire.message import Finished, Outcome

Weight = Literal["lost", "doubt", "free"]
"""How a ``worker_lost`` end is held against its job."""


class Detail(msgspec.Struct, array_like=True):
    """What decides whether a job is tried again."""

    jid: int
    submission: int
    restartable: int
    retried: int
    lost: int
    doubts: int


class Ending(msgspec.Struct, gc=False):
    """The end of one attempt in hand."""

    outcome: Outcome
    was_final: bool  # the job was killed meanwhile
    weight: Weight = "lost"


def finish(tx: Connection, worker: int, outcomes: list[Outcome], now: int) -> Finish:
    """Accept what a worker reports.

    Args:
        worker: its id.
        outcomes: ends of attempts; each is accepted at most once, however often and late it is sent.
        now: epoch ms.
    """
    held = holding(tx, worker, [outcome.jid for outcome in outcomes])
    endings, stale = [], []
    for outcome in outcomes:
        lease_id, was_final = held.leases.get(outcome.jid, _NOTHING)
        if lease_id == outcome.lease:
            del held.leases[outcome.jid]
            if not 0 <= outcome.cause <= _LAST_CAUSE:
                outcome = msgspec.structs.replace(outcome, cause=int(Cause.exit))
            endings.append(Ending(outcome, bool(was_final)))
        else:
            stale.append((outcome.jid, outcome.n))
    answer = conclude(tx, endings, held.kind, held.account, now) if endings else Finish()
    answer.stale = stale
    return answer


def conclude(tx: Connection, endings: list[Ending], kind: int, account: int, now: int) -> Finish:
    """Close these attempts of one worker, whose leases and jobs are locked, and move their jobs.

    Args:
        kind: of the worker.
        account: of the worker.
    """
    answer = Finish()
    _check_blobs(tx, account, endings, now)
    plan = _Plan(tx, endings, kind, account, now)
    plan.write(answer)
    gate.spread(tx, gate.held_by_list(tx, [done.jid for done in answer.moved]), answer, now)
    return answer


def _check_blobs(tx: Connection, account: int, endings: list[Ending], now: int) -> None:
    """A result whose blob is not there cannot be kept: its job ends with cause ``storage``."""
    named = [e for e in endings if e.outcome.blob]
    if not named:
        return
    live = blob.touch(tx, account, [e.outcome.blob for e in named], now)
    for ending in named:
        if ending.outcome.blob not in live:
            told = Failure("storage", f"the result's blob {ending.outcome.blob} never arrived", "rerun the job")
            ending.outcome = msgspec.structs.replace(ending.outcome, cause=int(Cause.storage), blob="", failure=told)


class _Plan:
    """What a batch of ends will write, decided first so that the writing is a fixed number of steps."""

    def __init__(self, tx: Connection, endings: list[Ending], kind: int, account: int, now: int) -> None:
        self.tx, self.endings, self.kind, self.account, self.now = tx, endings, kind, account, now
        self.done: list[Outcome] = []
        self.failed: list[tuple[Outcome, Failure]] = []
        self.tried: list[tuple[Ending, bytes]] = []  # attempts whose failure is not the job's
        self.again: dict[tuple[int, str], list[int]] = defaultdict(list)  # (due or 0, counter) -> jids
        self._options: dict[int, Options] = {}
        rare = []
        for ending in endings:
            if ending.was_final:
                continue  # killed meanwhile: only the attempt closes
            if ending.outcome.cause == 0:
                self.done.append(ending.outcome)
            else:
                rare.append(ending)
        if rare:
            jids = as_list([ending.outcome.jid for ending in rare])
            details = {row.jid: row for row in _decode_details(one(tx, _DETAILS, jids=jids)[0])}
            for ending in rare:
                self._decide(ending, details[ending.outcome.jid])

    def _decide(self, ending: Ending, about: Detail) -> None:
        """What an end other than a value means."""
        outcome = ending.outcome
        cause = Cause(outcome.cause)
        if cause == Cause.exception and outcome.retry and about.retried < self._option(about).retries:
            delay = self._option(about).retry_delay_ms
            self._again(ending, "retried", self.now + delay if delay > 0 else 0)
        elif cause == Cause.worker_lost and about.restartable:
            if ending.weight == "lost" and about.lost + 1 >= MAX_ATTEMPTS:
                self._fail(
                    outcome, Cause.signal, f"all its {MAX_ATTEMPTS} tries ended like this: look for what kills them in info"
                )
            else:
                self._again(ending, _COUNTER[ending.weight], 0)
        elif cause == Cause.worker_lost:
            self._fail(outcome, cause, "it must not be tried again by itself (_restartable=False): rerun it if that is safe")
        else:
            self._fail(outcome, cause)

    def _option(self, about: Detail) -> Options:
        if about.submission not in self._options:
            found = one(self.tx, _OPTIONS, id=about.submission)[0]
            self._options[about.submission] = msgspec.json.decode(found, type=Options)
        return self._options[about.submission]

    def _again(self, ending: Ending, counted: str, due: int) -> None:
        self.tried.append((ending, pack(ending.outcome.failure or certificate(Cause.worker_lost))))
        self.again[due, counted].append(ending.outcome.jid)

    def _fail(self, outcome: Outcome, cause: Cause, advice: str = "") -> None:
        told = outcome.failure or certificate(cause)
        if advice:
            told = msgspec.structs.replace(told, advice=advice)
        self.failed.append((outcome, msgspec.structs.replace(told, cause=cause.name)))

    def write(self, answer: Finish) -> None:
        """Write it all, and tell it in ``answer``."""
        self._write_attempts()
        if self.done:
            self._write_done(answer)
        if self.failed:
            self._write_failed(answer)
        for (due, counted), jids in self.again.items():
            status = Status.waiting if due else Status.queued
            run(self.tx, _AGAIN[counted], jids=as_list(jids), status_=int(status), due_=due or None)
            if not due:
                answer.ready_kinds.add(self.kind)
        answer.ended = len(answer.moved)

    def _write_attempts(self) -> None:
        ended = [ending.outcome for ending in self.endings]
        rows = (
            (o.jid, o.cause, o.runtime_us, o.cpu_user_us, o.cpu_system_us, o.peak_memory, o.started_ms, billed_ms(o))
            for o in ended
        )
        run(self.tx, _CLOSE, ends=rows, now=self.now, account_=self.account, kind_=self.kind)
        jids = [o.jid for o in ended]
        spent.book(self.tx, self.account, jids, self.now)
        run(self.tx, _DROP, jids=as_list(jids))
        sampled = [(o.jid, o.n, to_json(o.figures).decode()) for o in ended if o.figures is not None]
        if sampled:
            run(self.tx, _MEASURED, rows=as_list(sampled))
        if self.tried:
            places, data = _laid_out([told for _, told in self.tried])
            rows_tried = [(e.outcome.jid, e.outcome.n, *place) for (e, _), place in zip(self.tried, places, strict=True)]
            run(self.tx, _EVIDENCE, rows=as_list(rows_tried), data_=data)

    def _write_done(self, answer: Finish) -> None:
        done = self.done
        parts = [o.data for o in done]
        rows = (
            (o.jid, end - len(o.data), _NO_DATA if o.blob else len(o.data), o.blob, text(o.preview))
            for o, end in zip(done, accumulate(map(len, parts)), strict=True)
        )
        run(self.tx, _RESULTS, results=rows, data_=b"".join(parts))
        run(self.tx, _END, jids=as_list([o.jid for o in done]), status_=_DONE, cause_=0, now=self.now)
        answer.moved = [Finished(o.jid, _DONE, None if o.blob else o.data, o.blob) for o in done]

    def _write_failed(self, answer: Finish) -> None:
        places, data = _laid_out([pack(told) for _, told in self.failed])
        rows = ((o.jid, *place, text(o.preview)) for (o, _), place in zip(self.failed, places, strict=True))
        run(self.tx, _FAILURES, failures=rows, data_=data)
        by_cause: dict[Cause, list[int]] = defaultdict(list)
        for outcome, told in self.failed:
            cause = Cause[told.cause]
            by_cause[cause].append(outcome.jid)
            answer.moved.append(Finished(outcome.jid, int(status_of(cause)), failure=told))
        for cause, jids in by_cause.items():
            run(self.tx, _END, jids=as_list(jids), status_=int(status_of(cause)), cause_=int(cause), now=self.now)


def billed_ms(outcome: Outcome) -> int:
    """What an attempt has to pay for: its run time less what was lent, in begun milliseconds."""
    if outcome.cause in _FREE:
        return 0
    return max(0, outcome.runtime_us - max(0, outcome.unpaid_us) + 999) // 1000


def _laid_out(parts: list[bytes]) -> tuple[list[tuple[int, int]], bytes]:
    """Where each part lies in their sum: (start, size); and the sum."""
    places = [(end - len(part), len(part)) for part, end in zip(parts, accumulate(map(len, parts)), strict=True)]
    return places, b"".join(parts)


_DONE, _LAST_CAUSE = int(Status.done), int(max(Cause))
_NOTHING = (b"", 0)
_FREE = (int(Cause.worker_lost), int(Cause.environment))
"""Ends that nobody pays for."""
_NO_DATA = -1
"""The size of data that is a blob."""
_COUNTER = {"lost": "lost", "doubt": "doubts", "free": ""}
_decode_details = msgspec.json.Decoder(list[Detail]).decode
_rows, _jids = Listed("rows"), Listed("jids")
_failures = Given("failures", BigInteger, Integer, Integer, Text)
_ends = Given("ends", *[BigInteger] * 8)
_results = Given("results", BigInteger, Integer, Integer, Text, Text)
_nil = constant(0)
_now = bindparam("now", type_=BigInteger)
_cores = select(kind.c.cores).where(kind.c.id == bindparam("kind_", type_=BigInteger)).scalar_subquery()
_CLOSE = insert(attempt).from_select(
    ["jid", "n", "lease", "account", "kind", "worker", "cause", "leased", "started", "ended", "runtime_us", "cpu_user_us",
     "cpu_system_us", "peak_memory", "purpose", "billed_ms", "cores", "price", "amount"],
    select(lease.c.jid, lease.c.n, lease.c.lease, bindparam("account_", type_=BigInteger), bindparam("kind_", type_=BigInteger),
           lease.c.worker, _ends.c(1), lease.c.leased, func.coalesce(lease.c.started, func.nullif(_ends.c(6), _nil)), _now,
           _ends.c(2), _ends.c(3), _ends.c(4), _ends.c(5), lease.c.purpose, _ends.c(7), _cores, lease.c.price,
           _ends.c(7) * lease.c.price * _cores)
    .select_from(_ends.table).join(lease, lease.c.jid == _ends.c(0) + _nil),  # the sum has SQLite look up each lease by jid
    include_defaults=False,
)  # fmt: skip
"""The lines of the ledger."""
_DROP = delete(lease).where(lease.c.jid.in_(_jids.chosen()))
_EVIDENCE = (
    update(attempt)
    .where(attempt.c.jid == _rows.c(0), attempt.c.n == _rows.c(1))
    .values(failure=cut("data_", _rows.c(2), _rows.c(3)))
)
_MEASURED = update(attempt).where(attempt.c.jid == _rows.c(0), attempt.c.n == _rows.c(1)).values(figures=_rows.c(2, Text))
_RESULTS = insert(result).from_select(
    ["jid", "data", "blob", "preview"],
    select(
        _results.c(0),
        cut("data_", _results.c(1), func.nullif(_results.c(2), constant(_NO_DATA))),
        func.nullif(_results.c(3), literal_column("''")),
        _results.c(4),
    ),
)
_FAILURES = insert(result).from_select(
    ["jid", "failure", "preview"],
    select(_failures.c(0), cut("data_", _failures.c(1), _failures.c(2)), _failures.c(3)),
)
_unfinished = job.c.status < constant(int(FIRST_FINAL))
_mine = (job.c.jid.in_(_jids.chosen()), _unfinished)
_status, _due = bindparam("status_", type_=BigInteger), bindparam("due_", type_=BigInteger)
_END = update(job).where(*_mine).values(status=_status, cause=bindparam("cause_", type_=BigInteger), held=_nil, finished=_now)
_AGAIN = {
    counted: update(job).where(*_mine).values(
        status=_status, held=_nil, due=_due, **({counted: job.c[counted] + constant(1)} if counted else {})
    )
    for counted in ("", "retried", "lost", "doubts")
}  # fmt: skip
"""Another attempt, counted in that column."""
_OPTIONS = select(submission.c.options).where(submission.c.id == bindparam("id"))
_DETAILS = select(gathered(job.c.jid, job.c.submission, job.c.restartable, job.c.retried, job.c.lost, job.c.doubts)).where(
    job.c.jid.in_(_jids.chosen())
)
