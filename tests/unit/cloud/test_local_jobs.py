"""The jobs of a local backend: order, states, dependencies; no processes, no clock."""

from __future__ import annotations

from typing import Any

import pytest

from cloud._backend import Order
from cloud._local_jobs import Ledger, LocalJob, Submission
from picloud.wire.error import Conflict, NotFound
from picloud.wire.job import Cause, Failure, Options, Status
from picloud.wire.message import Code, Outcome


def _add(ledger: Ledger, **options: Any) -> LocalJob:
    return ledger.add(
        ledger.reserve(1), Submission(Order(Code("", "function", b""), "f", Options(**options)), None), b"", "", now=0
    )


def _end(ledger: Ledger, job: LocalJob, cause: Cause = Cause.none, now: int = 1, retry: bool = False) -> list[LocalJob]:
    job.attempts.append({})
    return ledger.finish(job, Outcome(job.jid, 1, b"", cause, 0, retry=retry), now)


def _taken(ledger: Ledger) -> list[int]:
    found = []
    while (job := ledger.take()) is not None:
        found.append(job.jid)
    return found


def test_priority_then_jid_decides_the_order() -> None:
    ledger = Ledger()
    for priority in (5, 1, 5, 9, 1):
        _add(ledger, priority=priority)
    assert _taken(ledger) == [2, 5, 1, 3, 4]


def test_awaited_jobs_and_what_they_depend_on_go_first() -> None:
    ledger = Ledger()
    for _ in range(3):
        _add(ledger)
    last = _add(ledger, depends_on=[(3, 1)], priority=9)
    ledger.wait_for([(last.jid, 1)])
    first = ledger.take()
    assert first is not None
    assert first.jid == 3
    _end(ledger, first)
    assert _taken(ledger) == [4, 1, 2]


def test_a_dependency_that_fails_stalls_the_whole_chain() -> None:
    ledger = Ledger()
    first = _add(ledger)
    chain = [first]
    for _ in range(3000):
        chain.append(_add(ledger, depends_on=[(chain[-1].jid, 1)]))
    assert {job.status for job in chain[1:]} == {Status.waiting}
    assert ledger.take() is first
    assert _end(ledger, first, Cause.exception) == chain
    assert {job.status for job in chain[1:]} == {Status.stalled}
    assert chain[1].failure is not None
    assert chain[1].failure.message == "job 1, which it depends on, ended as error"
    assert _add(ledger, depends_on=[(first.jid, 1)]).status is Status.stalled


def test_errors_of_dependencies_can_be_ignored() -> None:
    ledger = Ledger()
    one, two = _add(ledger), _add(ledger)
    both = _add(ledger, depends_on=[(1, 2)], ignore_dependency_errors=True)
    _taken(ledger)
    _end(ledger, one, Cause.exception)
    assert both.status is Status.waiting
    _end(ledger, two)
    assert both.status is Status.queued


def test_a_retry_waits_until_it_is_due() -> None:
    ledger = Ledger()
    job = _add(ledger, retries=1, retry_delay_ms=500)
    assert ledger.take() is job
    assert _end(ledger, job, Cause.exception, now=1000, retry=True) == []
    assert (job.status, ledger.wake(1499), ledger.take()) == (Status.waiting, 1500, None)
    assert ledger.wake(1500) is None
    assert ledger.take() is job
    assert _end(ledger, job, Cause.exception, now=2000, retry=True) == [job]
    assert job.status is Status.error


def test_only_what_may_be_retried_is_retried() -> None:
    ledger = Ledger()
    for cause, retry in ((Cause.exception, False), (Cause.signal, False), (Cause.none, True)):
        job = _add(ledger, retries=5)
        ledger.take()
        assert _end(ledger, job, cause, retry=retry) == [job]


def test_final_states_stay() -> None:
    ledger = Ledger()
    job = _add(ledger)
    assert ledger.kill(job, Failure("killed", ""), 1) == [job]
    assert ledger.kill(job, Failure("killed", ""), 2) == []
    assert _end(ledger, job) == []
    assert (job.status, ledger.take()) == (Status.killed, None)


def test_delete_is_all_or_nothing() -> None:
    ledger = Ledger()
    done = _add(ledger)
    _add(ledger)
    ledger.take()
    _end(ledger, done)
    with pytest.raises(Conflict, match="job 2 is queued"):
        ledger.delete([(1, 2)])
    assert ledger.delete([(1, 1)]) == 1
    with pytest.raises(NotFound, match="no job 1 "):
        ledger.get(1)
