"""The local backend: jobs on real processes of this machine."""

from __future__ import annotations

import hashlib
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle
import pytest

from cloud import _local_door
from cloud._backend import Order, Packed
from cloud._local import LocalBackend
from picloud.wire import describe, payload
from picloud.wire.error import CloudTimeoutError, NotFound
from picloud.wire.job import Failure, Options, Status
from picloud.wire.message import Code, Finished

DEADLINE = 30.0
"""Seconds after which a test that waits gives up."""


def _order(function: Callable[..., Any] = len, count: int = 1, **options: Any) -> Order:
    data = cloudpickle.dumps((function, options.pop("retry_on", None)))
    env = options.pop("env", {})
    code = Code(hashlib.sha256(data).hexdigest(), "function", data, {"name": function.__name__})
    return Order(code, function.__name__, Options(**options), env_values=env, count=count)


@pytest.fixture
def local() -> Iterator[LocalBackend]:
    backend = LocalBackend(2)
    yield backend
    backend.close()


def _packed(*args: Any, **kwargs: Any) -> Packed:
    return Packed(payload.dumps((args, kwargs), cloudpickle.dumps), describe.arguments(args, kwargs))


def _run(backend: LocalBackend, function: Callable[..., Any], *args: Any, **options: Any) -> Finished:
    jids = backend.submit(_order(function, **options), [_packed(*args)])
    (found,) = backend.finished(jids, patience=lambda: DEADLINE)
    return found


def _value(found: Finished) -> Any:
    assert found.failure is None, found.failure
    assert found.data is not None
    return payload.loads(found.data)


def _failed(found: Finished) -> Failure:
    assert found.failure is not None
    return found.failure


def _until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end
        threading.Event().wait(0.01)


def test_a_call(local: LocalBackend) -> None:
    assert _value(_run(local, lambda x: x * 3, 3)) == 9


def test_a_map_has_one_range_and_tells_all_its_ends(local: LocalBackend) -> None:
    jids = local.submit(_order(lambda x: x * x, count=1000), (_packed(i) for i in range(1000)))
    assert jids == [(1, 1000)]
    assert sorted(_value(found) for found in local.finished(jids)) == sorted(i * i for i in range(1000))
    assert local.statuses([(1, 1000)]) == bytes([Status.done]) * 1000


def test_a_map_of_unknown_length_runs_while_it_is_made(local: LocalBackend) -> None:
    def items() -> Iterator[Packed]:
        yield _packed(0)
        _until(lambda: local.statuses([(1, 1)])[0] == Status.done)
        yield _packed(1)

    order = _order(lambda x: x)
    order.count = None
    assert local.submit(order, items()) == [(1, 2)]


def test_an_error_of_the_items_passes_through(local: LocalBackend) -> None:
    def items() -> Iterator[Packed]:
        yield _packed(0)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        local.submit(_order(lambda x: x, count=2), items())
    (found,) = local.finished([(1, 1)])
    assert _value(found) == 0


def test_large_values_pass(local: LocalBackend) -> None:
    assert len(_value(_run(local, lambda data: data * 2, b"x" * 5_000_000))) == 10_000_000


def test_an_exception_has_its_traceback_and_itself(local: LocalBackend) -> None:
    def broken() -> None:
        raise LookupError("gone", 7)

    failure = _failed(_run(local, broken))
    assert (failure.cause, failure.type, failure.message) == ("exception", "LookupError", "LookupError: ('gone', 7)")
    assert "in broken" in failure.traceback
    assert "_local_runner" not in failure.traceback
    assert pickle.loads(failure.exception).args == ("gone", 7)


def test_sys_exit_is_an_error(local: LocalBackend) -> None:
    failure = _failed(_run(local, lambda: exec("import sys; sys.exit(7)")))
    assert (failure.cause, failure.exit_code) == ("exit", 7)


def test_os_exit_is_an_error_and_the_next_job_runs(local: LocalBackend) -> None:
    failure = _failed(_run(local, os._exit, 5))
    assert (failure.cause, failure.exit_code) == ("exit", 5)
    assert _value(_run(local, lambda: 1)) == 1


def test_a_crash_tells_signal_and_stacks(local: LocalBackend) -> None:
    def crash() -> None:
        import ctypes

        ctypes.string_at(0)

    failure = _failed(_run(local, crash))
    assert (failure.cause, failure.signal) == ("signal", "SIGSEGV")
    assert "in crash" in failure.stacks


def test_a_process_killed_from_outside_ends_its_job(local: LocalBackend) -> None:
    assert _failed(_run(local, lambda: os.kill(os.getpid(), signal.SIGKILL))).signal == "SIGKILL"


def test_a_child_left_behind_does_not_hide_a_crash(local: LocalBackend) -> None:
    def crash() -> None:
        if os.fork() == 0:
            time.sleep(60)
        os._exit(3)

    assert _failed(_run(local, crash)).exit_code == 3


def test_a_fork_that_returns_answers_once(local: LocalBackend) -> None:
    def fork() -> str:
        return "child" if os.fork() == 0 else "parent"

    assert _value(_run(local, fork)) == "parent"
    assert _value(_run(local, lambda: 2)) == 2


def test_a_result_that_cannot_be_pickled(local: LocalBackend) -> None:
    failure = _failed(_run(local, lambda: threading.Lock()))
    assert failure.cause == "cannot_save"
    assert "result -> lock cannot be pickled" in failure.message


def test_a_function_that_cannot_be_loaded(local: LocalBackend) -> None:
    order = _order()
    order.function = Code("bad", "function", b"\x80\x05cno_such_module\nf\n.", {})
    (found,) = local.finished(local.submit(order, [_packed()]))
    failure = _failed(found)
    assert failure.cause == "cannot_load"
    assert "no_such_module" in failure.message
    assert "no_such_module" in failure.advice


def test_output_is_kept_job_by_job(local: LocalBackend) -> None:
    def noisy(word: str) -> None:
        import sys

        print(word)
        os.system(f"echo {word} from below")
        sys.stderr.write("err " + word)

    for word in ("one", "two"):
        found = _run(local, noisy, word)
        info = local.info([(found.jid, 1)], ["stdout", "stderr", "created", "nonsense"])[found.jid]
        assert info == {"stdout": f"{word}\n{word} from below\n", "stderr": f"err {word}", "created": None, "nonsense": None}


def test_output_can_be_read_while_the_job_runs(local: LocalBackend) -> None:
    def slow() -> None:
        print("begun", flush=True)
        time.sleep(60)

    jids = local.submit(_order(slow), [_packed()])
    _until(lambda: local.info(jids, ["stdout"])[1]["stdout"] == "begun\n")
    assert local.kill(jids) == 1


def test_kill_ends_running_and_queued_jobs_and_stalls_dependents(local: LocalBackend) -> None:
    jids = local.submit(_order(time.sleep, count=4), [_packed(60)] * 4)
    after = local.submit(_order(depends_on=jids), [_packed("x")])
    _until(lambda: Status.processing in local.statuses(jids))
    assert local.kill(None) == 4
    ends = {found.jid: found.status for found in local.finished(jids + after, patience=lambda: DEADLINE)}
    assert ends == dict.fromkeys(range(1, 5), Status.killed) | {5: Status.stalled}
    assert _value(_run(local, len, "abc")) == 3


def test_a_time_limit(local: LocalBackend) -> None:
    found = _run(local, time.sleep, 60, max_runtime_ms=200)
    assert (found.status, _failed(found).cause) == (Status.killed, "timeout")


def test_retries_end_with_the_first_success(local: LocalBackend, tmp_path: Any) -> None:
    def third(path: str) -> int:
        with open(path, "a") as file:
            file.write("x")
        tries = os.path.getsize(path)
        if tries < 3:
            raise ValueError(tries)
        return tries

    path = str(tmp_path / "tries")
    found = _run(local, third, path, retries=5, retry_delay_ms=10, retry_on=(ValueError,))
    assert _value(found) == 3
    attempts = local.info([(found.jid, 1)], ["attempts"])[found.jid]["attempts"]
    assert [one["cause"] for one in attempts] == ["exception", "exception", "none"]
    failure = _failed(_run(local, third, str(tmp_path / "other"), retries=5, retry_on=(KeyError,)))
    assert failure.message == "ValueError: 1"


def test_environment_and_folder_are_those_of_one_job(local: LocalBackend) -> None:
    def spoil() -> str:
        os.chdir("/")
        return os.environ["CLOUD_TEST"]

    one = LocalBackend(1)
    try:
        assert _value(_run(one, spoil, env={"CLOUD_TEST": "yes"})) == "yes"
        assert _value(_run(one, lambda: (os.getcwd(), os.environ.get("CLOUD_TEST")))) == (os.getcwd(), None)
    finally:
        one.close()


def test_kill_process_gives_the_next_job_a_new_one() -> None:
    one = LocalBackend(1)
    try:
        kept = [_value(_run(one, os.getpid)), _value(_run(one, os.getpid))]
        assert kept[0] == kept[1]
        ended = _value(_run(one, os.getpid, kill_process=True))
        assert _value(_run(one, os.getpid)) != ended
    finally:
        one.close()


def test_patience_ends(local: LocalBackend) -> None:
    jids = local.submit(_order(time.sleep), [_packed(60)])
    with pytest.raises(CloudTimeoutError):
        next(iter(local.finished(jids, patience=lambda: 0.01)))
    with pytest.raises(CloudTimeoutError):
        next(iter(local.finished(jids, patience=lambda: 0)))
    local.kill(jids)


def test_unknown_jids_are_named(local: LocalBackend) -> None:
    for act in (local.statuses, local.kill, local.delete, lambda jids: list(local.finished(jids))):
        with pytest.raises(NotFound) as caught:
            act([(77, 1)])
        assert caught.value.jid == 77
    with pytest.raises(NotFound):
        local.submit(_order(depends_on=[(77, 1)]), [_packed()])
    assert local.listing(None, None, None, None, 10) == []


def test_jobs_inside_jobs_do_not_run_out_of_processes() -> None:
    def nest(depth: int) -> int:
        backend = _local_door.inside()
        assert backend is not None
        if depth == 0:
            return 0
        data = cloudpickle.dumps((nest, None))
        order = Order(Code(str(depth), "function", data, {}), "nest", Options())
        jids = backend.submit(order, [Packed(payload.dumps(((depth - 1,), {}), cloudpickle.dumps), "")])
        (found,) = backend.finished(jids, patience=lambda: 30.0)
        assert backend.statuses(jids) == b"\x03"
        assert backend.info(jids, ["parent_jid"])[found.jid]["parent_jid"] is not None
        assert found.data is not None
        return 1 + int(payload.loads(found.data))

    one = LocalBackend(1)
    try:
        assert _value(_run(one, nest, 5)) == 5
    finally:
        one.close()


def test_errors_cross_the_door(local: LocalBackend) -> None:
    def ask() -> tuple[str, int | None]:
        backend = _local_door.inside()
        assert backend is not None
        try:
            backend.statuses([(99, 1)])
        except NotFound as error:
            return type(error).__name__, error.jid
        return "", None

    assert _value(_run(local, ask)) == ("NotFound", 99)


def test_close_leaves_no_process_and_use_opens_again(local: LocalBackend) -> None:
    assert local.close() is False
    pid = _value(_run(local, os.getpid))
    assert local.connection_info() == {"opened": True, "connection_type": "multiprocessing", "num_procs": 2}
    assert local.close() is True
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert _value(_run(local, len, "ab")) == 2


def test_rerun_and_listing(local: LocalBackend) -> None:
    good = _run(local, len, "abc", label="a")
    bad = _run(local, len, 5, label="b")
    made = local.rerun([(good.jid, 1), (bad.jid, 1)], failed=True)
    assert made == [(3, 1)]
    list(local.finished(made))
    rows = local.listing(None, None, "len", None, 10)
    assert [(row["jid"], row["status"], row["label"]) for row in rows] == [(3, "error", "b"), (2, "error", "b"), (1, "done", "a")]
    assert [row["jid"] for row in local.listing("done", None, None, None, 10)] == [1]
    assert [row["jid"] for row in local.listing(None, "b", None, None, 1)] == [3]
    assert payload.loads(local.payload(1, "args")) == (("abc",), {})
    assert payload.loads(local.payload(1, "result")) == 3
    assert payload.loads(local.payload(1, "function"))[0] is len


def test_a_profile(local: LocalBackend) -> None:
    found = _run(local, sorted, [2, 1], profile=True)
    assert "function calls" in local.info([(found.jid, 1)], ["profile"])[found.jid]["profile"]


def test_a_map_that_gives_too_few_or_too_many_items(local: LocalBackend) -> None:
    with pytest.raises(ValueError, match="said 3 items and gave 2") as caught:
        local.submit(_order(count=3), [_packed("a"), _packed("b")])
    assert "jobs 1-2 were accepted and run on. cloud.mp.result(range(1, 3)) waits for them" in caught.value.__notes__[0]
    assert local.submit(_order(count=1), [_packed("a"), _packed("b")]) == [(4, 1)]
