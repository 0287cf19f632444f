"""Certificates from inside the runner: the user's frames and facts, nothing of the runner's own."""

import pickle
import threading
from typing import Any

from picloud.wire.error import CloudException
from picloud.wire.job import Cause, Failure
from picloud.worker import death
from picloud.worker.inside import failure, save


def caught(function: Any, *args: Any) -> BaseException:
    try:
        function(*args)
    except BaseException as error:  # noqa: BLE001 - any is wanted
        return error
    raise AssertionError("nothing was raised")


def told(data: bytes) -> tuple[Cause, Failure]:
    return death.told(data)


def test_an_interrupted_job_shows_only_its_own_frames() -> None:
    def job() -> None:
        raise failure.Interrupted

    _, found = told(failure.of(caught(job)))
    assert "in job" in found.traceback
    assert "KeyboardInterrupt" in found.traceback
    assert "picloud" not in found.traceback.split("in job")[1]


def test_what_cannot_be_saved_has_a_path_instead_of_the_picklers_frames() -> None:
    value = {"a": threading.Lock()}
    error = caught(save.pack, value)
    assert error.__traceback__ is not None
    cause, found = told(failure.cannot_save(error.with_traceback(error.__traceback__.tb_next), value))
    assert cause is Cause.cannot_save
    assert "result['a']" in found.message
    assert found.traceback == ""


def test_a_failed_command_ends_with_its_exit_code_and_no_traceback() -> None:
    cause, found = told(failure.of(CloudException("the command ended with exit code 3", exit_code=3, stderr="oops")))
    assert (cause, found.exit_code, found.traceback) == (Cause.exit, 3, "")
    assert pickle.loads(found.exception).facts == {"exit_code": 3, "stderr": "oops"}


def test_a_module_missing_in_the_job_is_named_with_the_workers_python() -> None:
    cause, found = told(failure.of(ModuleNotFoundError("No module named 'nowhere'", name="nowhere")))
    assert cause is Cause.exception
    assert "'nowhere'" in found.advice
    assert found.facts["worker_python"] in found.advice


def test_stacks_end_where_the_runner_begins() -> None:
    own = death.__file__.replace("death", "runner")
    text = f'Fatal\n  File "job.py", line 1 in f\n  File "{own}", line 9 in run\n  File "<string>", line 1 in <module>\n'
    assert death.stacks(text) == 'Fatal\n  File "job.py", line 1 in f\n'
