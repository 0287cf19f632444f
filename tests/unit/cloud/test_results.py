from __future__ import annotations

import itertools
import time

import pytest
from fake import Fake

from cloud import _results
from cloud.job import Verbs
from picloud.wire.error import CloudException, CloudTimeoutError, JobError
from picloud.wire.job import Failure, Status
from picloud.wire.message import Finished


def odd_fails(x: int) -> int:
    if x % 2:
        raise ValueError(f"{x} is odd")
    return x


def test_a_dropped_stream_is_taken_up_again(jobs: Verbs, fake: Fake) -> None:
    jids = jobs.map(abs, range(50))
    fake.stream_frames = 3
    assert jobs.result(jids) == list(range(50))
    fake.stream_frames = 2
    jobs.join(jids)


def test_many_failures_are_counted(jobs: Verbs) -> None:
    jids = jobs.map(odd_fails, range(10))
    jobs.join(jids, ignore_errors=True)
    with pytest.raises(JobError) as caught:
        jobs.result(jids)
    lines = str(caught.value).splitlines()
    assert lines[0] == "5 of 10 jobs failed:"
    assert lines[1:4] == [f"  job {jids[n]}: error: ValueError: {n} is odd" for n in (1, 3, 5)]
    assert caught.value.facts["failed"] == 5
    assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(JobError, match="5 of 10 jobs failed"):
        jobs.join(jids)


def test_errors_in_the_places_of_values(jobs: Verbs) -> None:
    values = jobs.result(jobs.map(odd_fails, range(4)), ignore_errors=True)
    assert [values[0], values[2]] == [0, 2]
    assert all(isinstance(value, CloudException) and value.jid for value in (values[1], values[3]))


def test_iresult_goes_on_after_an_error(jobs: Verbs) -> None:
    results = jobs.iresult(jobs.map(odd_fails, range(4)))
    assert next(results) == 0
    with pytest.raises(JobError, match="1 is odd"):
        next(results)
    assert next(results) == 2
    with pytest.raises(JobError):
        next(results)
    with pytest.raises(StopIteration):
        next(results)


def test_iresult_as_they_end(jobs: Verbs) -> None:
    jids = jobs.map(odd_fails, [0, 2, 4, 1])
    jobs.join(jids, ignore_errors=True)
    results = jobs.iresult(jids, ordered=False, ignore_errors=True)
    found = dict(results)
    assert [found[jid] for jid in jids[:3]] == [0, 2, 4]
    assert isinstance(found[jids[3]], JobError)
    results, errors, values = jobs.iresult(jids, ordered=False), 0, []
    while True:
        try:
            values.append(next(results)[1])
        except JobError:
            errors += 1
        except StopIteration:
            break
    assert (errors, sorted(values)) == (1, [0, 2, 4])


def test_iresult_over_many_windows_and_repeats(jobs: Verbs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_results, "WINDOW", 7)
    jids = list(jobs.map(abs, range(30)))
    assert list(jobs.iresult(jids + jids[:3])) == [*range(30), 0, 1, 2]
    assert list(jobs.iresult([])) == []
    assert list(jobs.iresult(jids[4])) == [4]


def test_iresult_timeout_is_for_each_step(jobs: Verbs, fake: Fake) -> None:
    done = jobs.call(abs, -1)
    jobs.join(done)
    fake.held.clear()
    held = jobs.call(abs, -2)
    for ordered in (True, False):
        results = jobs.iresult([done, held], timeout=0.3, ordered=ordered)
        first = next(results)
        assert first == (1 if ordered else (done, 1))
        with pytest.raises(CloudTimeoutError):
            next(results)
        if not ordered:
            fake.held.set()
            results.deadline.seconds = 5
            assert next(results) == (held, 2)


def test_results_are_kept_but_not_shared(jobs: Verbs, fake: Fake) -> None:
    jid = jobs.call(lambda: [1])
    jobs.result(jid).append(2)
    asked = len(fake.log)
    assert jobs.result(jid) == [1]
    assert len(fake.log) == asked
    jobs.delete(jid)
    with pytest.raises(CloudException):
        jobs.result(jid)


def test_the_cache_is_bounded() -> None:
    cache = _results.Cache(10_000)
    for jid in range(100):
        cache.put(Finished(jid, Status.done, bytes(800)))
    assert cache.held <= 10_000
    assert cache.get(99) is not None
    assert cache.get(0) is None
    cache.put(Finished(100, Status.done, bytes(5000)))
    assert cache.get(100) is None


def test_timeout_zero_still_gives_what_is_there(jobs: Verbs, fake: Fake) -> None:
    jid = jobs.call(abs, -1)
    jobs.join(jid)
    jobs._caches.clear()
    assert jobs.result(jid, timeout=0) == 1
    fake.held.clear()
    begun = time.monotonic()
    with pytest.raises(CloudTimeoutError):
        jobs.join(jobs.call(abs, -1), timeout=0)
    assert time.monotonic() - begun < 2
    with pytest.raises(TypeError, match="timeout"):
        jobs.join(jid, timeout="1")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="nan"):
        jobs.join(jid, timeout=float("nan"))


def test_texts_of_failures() -> None:
    failure = Failure(
        "signal", "the process died", advice="look there", signal="SIGSEGV", stacks="Thread 1", log_tail="last line"
    )
    made = _results.error(Finished(7, Status.error, failure=failure))
    assert str(made) == "Job 7: the process died\n\nPython stacks at the end:\nThread 1\nTIP: look there"
    assert made.failure is failure
    assert (made.status, made.__cause__) == ("error", None)
    assert "it was killed" in str(_results.error(Finished(7, Status.killed)))
    unloadable = _results.error(Finished(7, Status.error, failure=Failure("exception", "x", exception=b"\x80nonsense")))
    assert "cannot be loaded here" in unloadable.__notes__[0]


def test_a_result_that_cannot_be_loaded_here(jobs: Verbs, fake: Fake) -> None:
    jid = jobs.call(abs, -1)
    jobs.join(jid)
    jobs._caches.clear()
    fake.ends[jid] = Finished(jid, Status.done, b"\x80\x05cnowhere\nthing\n.")
    with pytest.raises(JobError, match="cannot be loaded here: ModuleNotFoundError"):
        jobs.result(jid)


def test_ctrl_c_says_how_to_come_back(jobs: Verbs, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    jids = jobs.map(abs, range(3))
    jobs.join(jids)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_results, "value", interrupted)
    with pytest.raises(KeyboardInterrupt):
        jobs.result(jids)
    said = capsys.readouterr().err
    spelled = f"range({jids[0]}, {jids[0] + 3})"
    assert f"cloud.result({spelled}) waits for them again, cloud.kill({spelled}) ends them" in said


def test_mixed_order(jobs: Verbs) -> None:
    jids = jobs.map(abs, range(6))
    for some in itertools.permutations([jids[5], jids[1:3], range(jids[3], jids[5])]):
        flat = [jid for part in some for jid in ([part] if isinstance(part, int) else part)]
        assert jobs.result(list(some)) == [jid - jids[0] for jid in flat]


def test_early_large_results_do_not_pile_up(jobs: Verbs, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_results, "HELD", 250_000)
    jids = jobs.map(bytes, [100_000] * 12)
    jobs.join(jids)
    results = jobs.iresult(jids)
    for _ in range(12):
        assert len(next(results)) == 100_000
        assert len(results.found) <= 4
