"""Each way a job can fail: its cause, its evidence, its advice, and after it the next job runs normally."""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import cloud
from tests.gate import attempt_number, attempts, gate

pytestmark = pytest.mark.live


class Custom(Exception):
    """An exception class of the user's own."""


def failure(jid: int) -> dict[str, Any]:
    return dict(cloud.info(jid, "failure")[jid]["failure"])


def ends_with(jid: int, status: str, cause: str) -> dict[str, Any]:
    """The failure record of a job, after checking how it ended and that the next job runs."""
    cloud.join(jid, timeout=60, ignore_errors=True)
    assert cloud.status(jid) == status
    found = failure(jid)
    assert found["cause"] == cause
    assert found["message"]
    assert cloud.result(cloud.call(lambda: "next"), timeout=60) == "next"
    return found


@pytest.fixture(autouse=True)
def _with_server(server: Any) -> None:
    """All of these run on a real server."""


def test_an_exception_carries_the_remote_traceback_and_the_original() -> None:
    def fails() -> None:
        raise Custom("the reason")

    jid = cloud.call(fails)
    with pytest.raises(cloud.CloudException, match="the reason") as caught:
        cloud.result(jid, timeout=60)
    assert "in fails" in str(caught.value)
    assert caught.value.jid == jid
    assert isinstance(caught.value.__cause__, Custom)
    found = ends_with(jid, "error", "exception")
    assert "picloud/worker" not in found["traceback"]


def test_sys_exit() -> None:
    assert ends_with(cloud.call(lambda: sys.exit(3)), "error", "exit")["exit_code"] == 3


def test_os_exit() -> None:
    assert ends_with(cloud.call(lambda: os._exit(4)), "error", "exit")["exit_code"] == 4


def test_a_segfault_shows_every_threads_stack() -> None:
    def crash() -> None:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        ctypes.string_at(0)

    found = ends_with(cloud.call(crash), "error", "signal")
    assert found["signal"] == "SIGSEGV"
    assert "in crash" in found["stacks"]
    assert found["stacks"].count("hread 0x") >= 2


def test_a_job_that_kills_its_runner_is_tried_again_and_then_held_responsible() -> None:
    jid = cloud.call(lambda: os.kill(os.getpid(), signal.SIGKILL))
    found = ends_with(jid, "error", "signal")
    assert found["signal"] == "SIGKILL"
    causes = [one["cause"] for one in attempts(jid)]
    assert causes[:-1] == ["worker_lost"] * (len(causes) - 1)
    assert 2 <= len(causes) <= 4


def test_not_restartable_jobs_are_never_run_twice() -> None:
    jid = cloud.call(lambda: os.kill(os.getpid(), signal.SIGKILL), _restartable=False)
    cloud.join(jid, timeout=60, ignore_errors=True)
    assert cloud.status(jid) == "error"
    assert failure(jid)["cause"] in ("worker_lost", "signal")
    assert len(attempts(jid)) == 1


def test_memory_limit() -> None:
    jid = cloud.call(lambda: len(bytearray(2_000_000_000)), _type="c1")
    found = ends_with(jid, "error", "out_of_memory")
    assert found["memory_limit"] == 300 << 20
    assert "_type" in found["advice"] or "_cores" in found["advice"]


def test_time_limit_keeps_the_traceback() -> None:
    def sleeps() -> None:
        time.sleep(600)

    found = ends_with(cloud.call(sleeps, _max_runtime=0.01), "killed", "timeout")
    assert "in sleeps" in found["traceback"]


def test_time_limit_of_a_job_that_ignores_interrupts() -> None:
    def stubborn() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            time.sleep(1)

    ends_with(cloud.call(stubborn, _max_runtime=0.01), "killed", "timeout")


def test_killed_by_the_owner() -> None:
    jid = cloud.call(time.sleep, 600)
    cloud.kill(jid)
    assert ends_with(jid, "killed", "killed")["advice"] is not None


def test_a_result_that_cannot_be_pickled_is_named() -> None:
    found = ends_with(cloud.call(lambda: {"lock": threading.Lock()}), "error", "cannot_save")
    assert "lock" in found["message"]


class Unloadable:
    """Pickles, but refuses to be loaded anywhere but here."""

    def __reduce__(self) -> Any:
        return _only_in, (os.getpid(),)


def _only_in(pid: int) -> str:
    if pid != os.getpid():
        raise RuntimeError("not here")
    return "here"


def test_a_function_that_cannot_be_loaded() -> None:
    thing = Unloadable()
    found = ends_with(cloud.call(lambda: thing), "error", "cannot_load")
    assert "not here" in found["message"] + found["traceback"]


def test_a_missing_module_names_both_sides() -> None:
    def needs() -> None:
        import surely_not_installed_anywhere

        surely_not_installed_anywhere.use()

    found = ends_with(cloud.call(needs), "error", "exception")
    assert "surely_not_installed_anywhere" in found["message"]


def test_retries_of_the_users_choice() -> None:
    def flaky(label: str) -> Callable[[], int]:
        number = attempt_number("cloud", label)

        def fails() -> int:
            tries = number()
            if tries < 3:
                raise ValueError(tries)
            return tries

        return fails

    label = gate()
    assert cloud.result(cloud.call(flaky(label), _label=label, _retries=5, _retry_on=[ValueError]), timeout=60) == 3
    label = gate()
    jid = cloud.call(flaky(label), _label=label, _retries=5, _retry_on=[KeyError])
    with pytest.raises(cloud.CloudException):
        cloud.result(jid, timeout=60)
    assert len(attempts(jid)) == 1


def test_output_of_a_job_is_kept_apart() -> None:
    import logging

    def speaks() -> None:
        print("to stdout")
        print("to stderr", file=sys.stderr)
        os.system("echo from a child")
        logging.info("a record")

    jid = cloud.call(speaks)
    cloud.result(jid, timeout=60)
    found = cloud.info(jid, ["stdout", "stderr", "logging"])[jid]
    assert found["stdout"] == "to stdout\nfrom a child\n"
    assert found["stderr"] == "to stderr\n"
    assert "a record" in found["logging"]


def test_values_of_environment_variables_are_shown_nowhere() -> None:
    jid = cloud.call(lambda: os.environ["SECRET_OF_MINE"], _os_env_vars={"SECRET_OF_MINE": "hush-hush"})
    assert cloud.result(jid, timeout=60) == "hush-hush"
    shown = cloud.info(jid, ["attributes", "status", "args"])[jid]
    assert "SECRET_OF_MINE" in str(shown)
    assert "hush" not in str(shown)
    assert cloud.result(cloud.call(lambda: os.environ.get("SECRET_OF_MINE")), timeout=60) is None
