"""Every way in which a job can fail on a worker: the cause, the evidence, the advice, and that the next job runs normally."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit/worker"))

from fake_control import FakeControl, Worker, control, start, worker  # noqa: F401

from picloud.wire import message as wire
from picloud.wire import payload
from picloud.wire.job import Cause
from picloud.worker.trust import AROUND, CREDIT

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(autouse=True)
def next_job_runs(control: FakeControl, worker: Worker) -> Iterator[None]:  # noqa: F811
    yield
    outcome = control.outcome(control.give(lambda: "well"))
    assert pickle.loads(outcome.data) == "well"
    assert worker.process.poll() is None


def failed(control: FakeControl, function: Callable[..., Any], cause: Cause, *args: Any, **options: Any) -> wire.Outcome:  # noqa: F811
    outcome = control.outcome(control.give(function, *args, **options))
    assert Cause(outcome.cause) is cause, outcome
    assert outcome.failure is not None
    assert outcome.failure.cause == cause.name
    assert outcome.failure.message
    return outcome


def test_exception(control: FakeControl) -> None:  # noqa: F811
    def inner() -> None:
        print("before the end")
        raise KeyError("absent")

    outcome = failed(control, inner, Cause.exception)
    failure = outcome.failure
    assert "inner" in failure.traceback and "picloud" not in failure.traceback
    assert isinstance(pickle.loads(failure.exception), KeyError)
    assert failure.type == "KeyError" and failure.advice and outcome.retry
    assert failure.log_tail == "before the end\n"


def test_retry_on_decides(control: FakeControl) -> None:  # noqa: F811
    def fails() -> None:
        raise ValueError("no")

    assert failed(control, fails, Cause.exception, retry_on=(ValueError,)).retry
    assert not failed(control, fails, Cause.exception, retry_on=(OSError,)).retry


def test_exception_that_cannot_be_loaded(control: FakeControl) -> None:  # noqa: F811
    def fails() -> None:
        import _thread

        class Odd(Exception):
            lock = _thread.allocate_lock()

        raise Odd("odd")

    failure = failed(control, fails, Cause.exception).failure
    assert failure.exception == b"" and "Odd: odd" in failure.traceback


def test_exception_whose_constructor_cannot_be_called_again(control: FakeControl) -> None:  # noqa: F811
    def fails() -> None:
        class Odd(Exception):
            def __init__(self, one: int, two: int) -> None:
                super().__init__("odd")
                self.two = two

        raise Odd(1, 2)

    found = payload.loads(failed(control, fails, Cause.exception).failure.exception)
    assert repr(found) == "Odd('odd')" and found.two == 2


def test_sys_exit(control: FakeControl) -> None:  # noqa: F811
    outcome = failed(control, sys.exit, Cause.exit, 3)
    assert outcome.failure.exit_code == 3 and outcome.failure.advice


def test_os_exit(control: FakeControl) -> None:  # noqa: F811
    assert failed(control, os._exit, Cause.exit, 7).failure.exit_code == 7


def test_segmentation_fault(control: FakeControl) -> None:  # noqa: F811
    def crash() -> None:
        threading.Thread(target=time.sleep, args=(5,), daemon=True, name="bystander").start()
        ctypes.string_at(0)

    failure = failed(control, crash, Cause.signal).failure
    assert failure.signal == "SIGSEGV" and failure.advice
    assert "crash" in failure.stacks and failure.stacks.count("hread 0x") >= 2


def test_killed_from_outside(control: FakeControl) -> None:  # noqa: F811
    failure = failed(control, lambda: os.kill(os.getpid(), signal.SIGKILL), Cause.worker_lost).failure
    assert failure.signal == "SIGKILL" and failure.advice


def test_memory_error(control: FakeControl) -> None:  # noqa: F811
    failure = failed(control, lambda: bytearray(1 << 40), Cause.out_of_memory).failure
    assert failure.memory_limit == 256 << 20 and "_type='c2'" in failure.advice


def test_memory_over_the_limit(control: FakeControl) -> None:  # noqa: F811
    def hog() -> None:
        kept = [b"x" * (400 << 20)]
        threading.Event().wait(20)
        del kept

    failure = failed(control, hog, Cause.out_of_memory).failure
    assert failure.peak_memory >= failure.memory_limit == 256 << 20
    assert "_type='c2'" in failure.advice


def test_time_limit_keeps_the_traceback(control: FakeControl) -> None:  # noqa: F811
    def slow() -> None:
        threading.Event().wait(60)

    failure = failed(control, slow, Cause.timeout, max_runtime_ms=200).failure
    assert "slow" in failure.traceback and "_max_runtime" in failure.advice


def test_time_limit_of_a_deaf_job(control: FakeControl) -> None:  # noqa: F811
    def deaf() -> None:
        while True:
            try:
                time.sleep(60)
            except BaseException:  # noqa: BLE001 - what the test is about
                continue

    failure = failed(control, deaf, Cause.timeout, max_runtime_ms=200).failure
    assert "deaf" in failure.stacks


def test_killed_by_order(control: FakeControl) -> None:  # noqa: F811
    key = control.give(lambda: threading.Event().wait(60))
    control.wait(lambda: [s for s in control.said(wire.Started) if s.jobs[0][:2] == key])
    control.send(wire.Kill([key]))
    assert control.outcome(key).cause == Cause.killed


def test_killed_before_start(control: FakeControl) -> None:  # noqa: F811
    running = [control.give(lambda: threading.Event().wait(60)) for _ in range(2)]
    control.wait(lambda: sum(len(s.jobs) for s in control.said(wire.Started)) == 2)
    waiting = control.give(lambda: 1)
    control.send(wire.Kill([waiting]))
    assert control.outcome(waiting).cause == Cause.killed
    control.send(wire.Kill(running))
    assert {control.outcome(key).cause for key in running} == {Cause.killed}


def test_result_that_cannot_be_pickled(control: FakeControl) -> None:  # noqa: F811
    failure = failed(control, lambda: {"a": [1, threading.Lock()]}, Cause.cannot_save).failure
    assert "result['a'][1]" in failure.message and "lock" in failure.message and failure.advice


def test_missing_module(control: FakeControl) -> None:  # noqa: F811
    class Absent:
        def __reduce__(self) -> Any:
            return __import__, ("no_such_module_here",)

    def needs() -> Any:
        return absent

    absent = Absent()
    failure = failed(control, needs, Cause.cannot_load).failure
    assert "no_such_module_here" in failure.message
    assert failure.facts["client_python"] == "3.11" and failure.facts["worker_prefix"] in failure.advice


def test_other_python(control: FakeControl) -> None:  # noqa: F811
    failure = failed(control, lambda: 1, Cause.cannot_load, python="3.9").failure
    assert "3.9" in failure.message and "3.11" in failure.message


def test_code_that_control_does_not_have(control: FakeControl) -> None:  # noqa: F811
    spec = control.spec(lambda: 1)
    del control.code[spec.function]
    lease = control.lease(spec)
    control.send(wire.Leases([spec], [lease]))
    assert control.outcome((lease.jid, 1)).cause == Cause.environment


def test_job_that_writes_into_the_runner_socket(control: FakeControl) -> None:  # noqa: F811
    def writes() -> None:
        for fd in range(3, 64):
            try:
                os.write(fd, b"\x04" + b"z" * 70)
            except OSError:
                continue
        time.sleep(20)

    outcome = control.outcome(control.give(writes))
    assert outcome.cause in (Cause.signal, Cause.worker_lost)


def test_threads_left_behind_end_the_runner(control: FakeControl) -> None:  # noqa: F811
    def leaves() -> bool:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        been_here, sys.been_here = hasattr(sys, "been_here"), True  # type: ignore[attr-defined]
        return been_here

    assert not any(pickle.loads(control.outcome(control.give(leaves)).data) for _ in range(3))


def test_processes_left_behind_are_killed(control: FakeControl) -> None:  # noqa: F811
    mark = f"600.{int.from_bytes(os.urandom(4))}"

    def leaves() -> None:
        import subprocess

        subprocess.Popen(["sleep", mark])

    control.outcome(control.give(leaves))
    control.wait(lambda: not [one for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"] == ["sleep", mark]])
    assert b"lived on" in control.output((1, 1), "pilog")


def test_a_runner_that_makes_its_jobs_shorter_than_they_were_is_not_believed(control: FakeControl) -> None:  # noqa: F811
    def lies(seconds: float) -> None:
        import sys
        import time

        now = getattr(sys, "stands", time.perf_counter_ns())
        sys.stands = now  # type: ignore[attr-defined]
        sys.modules["picloud.worker.runner"].clock = lambda: now  # type: ignore[attr-defined]
        time.sleep(seconds)

    outcomes = [control.outcome(control.give(lies, 0.04)) for _ in range(80)]
    told = [outcome.runtime_us for outcome in outcomes]
    assert not any(outcome.cause for outcome in outcomes) and told[1] < 1000, "it lies, and for a second nobody minds"
    assert sum(told) >= 80 * 40_000 - 2 * CREDIT - 80 * AROUND, "each of two slots has its credit"
