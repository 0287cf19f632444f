from __future__ import annotations

import pytest

from cloud import _function, _session
from cloud.job import Verbs, call
from picloud.wire.error import CloudException, CloudTimeoutError, JobError, NotFound


def test_call_result_status(jobs: Verbs) -> None:
    jid = jobs.call(lambda x, y=1: x * y, 3, y=3)
    assert jobs.result(jid) == 9
    assert jobs.status(jid) == "done"
    assert jobs.status([jid]) == ["done"]
    jobs.join(jid)


def test_map_of_many_is_one_range_in_order(jobs: Verbs, fake) -> None:
    jids = jobs.map(lambda x: x + 1, range(5000))
    assert len(jids) == 5000
    assert jobs.result(jids) == list(range(1, 5001))
    assert jobs.result(jids[10:12]) == [11, 12]
    assert jobs.result([jids[3], range(jids[0], jids[2]), jids[3]]) == [4, 1, 2, 4]
    assert [path for _, path in fake.log].count("/v1/chunk") >= 2


def test_map_of_a_generator(jobs: Verbs) -> None:
    jids = jobs.map(lambda x: x + 1, (n for n in range(2500)))
    assert len(jids) == 2500
    assert jobs.result(jids) == list(range(1, 2501))
    assert list(jobs.iresult(jids)) == list(range(1, 2501))
    assert jobs.map(abs, iter([])) == []


def test_failure(jobs: Verbs) -> None:
    jid = jobs.call(lambda: 1 / 0)
    with pytest.raises(JobError, match="division by zero") as caught:
        jobs.result(jid)
    assert caught.value.jid == jid
    assert "Traceback in the job" in str(caught.value)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert isinstance(jobs.result([jid], ignore_errors=True)[0], CloudException)
    with pytest.raises(JobError):
        jobs.join(jid)


def test_unknown_jid(jobs: Verbs) -> None:
    with pytest.raises(NotFound):
        jobs.result(99)
    with pytest.raises(NotFound):
        jobs.status(99)


def test_timeout(jobs: Verbs, fake) -> None:
    fake.held.clear()
    jid = jobs.call(abs, -1)
    with pytest.raises(CloudTimeoutError):
        jobs.result(jid, timeout=0.2)
    fake.held.set()
    assert jobs.result(jid, timeout=5) == 1


def test_verbs_travel_without_their_connection(jobs: Verbs) -> None:
    jobs.call(abs, -1)
    loaded, _ = _function.loads(_function.code(lambda: call, None, set())[0].data)
    assert loaded().__self__._backend is _session.backend
