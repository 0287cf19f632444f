"""What a job finds around it does not depend on the jobs before it."""

from __future__ import annotations

import io
import os
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_control import FakeControl, Worker


@pytest.fixture
def run(control: FakeControl, start: Callable[..., Worker]) -> Callable[..., Any]:
    """Runs one job on the only slot and returns its value."""
    start(slots=1, cores=2)

    def call(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        outcome = control.outcome(control.give(function, *args, **options))
        assert outcome.failure is None, outcome.failure
        return pickle.loads(outcome.data)

    return call


def test_home_and_tmp_start_empty(run: Callable[..., Any]) -> None:
    def litters() -> tuple[list[str], list[str], str]:
        import tempfile

        home, tmp = Path.home(), Path(tempfile.gettempdir())
        mine = [path.name for path in tmp.iterdir() if path.lstat().st_uid == os.getuid()]  # others' lead to an interpreter there
        found = os.listdir(home), mine
        here = os.getcwd()
        (home / "file").write_text("x")
        (home / "locked").mkdir()
        (home / "locked" / "inner").write_text("x")
        (home / "locked").chmod(0o500)
        Path(tempfile.gettempdir(), "t").write_text("x")
        os.chdir("/")
        return *found, here

    first = run(litters)
    second = run(litters)
    assert first[:2] == second[:2] == ([], [])
    assert first[2] == second[2]


def test_home_removed_by_a_job_is_back(run: Callable[..., Any]) -> None:
    def removes() -> None:
        import shutil

        shutil.rmtree(Path.home(), ignore_errors=True)  # the folder itself may be a mount

    run(removes)
    assert run(lambda: (os.listdir("."), os.path.isdir(os.environ["HOME"]))) == ([], True)


def test_random_numbers_differ(run: Callable[..., Any]) -> None:
    def draws() -> tuple[float, float]:
        import numpy

        first = random.random(), float(numpy.random.random())
        random.seed(1)
        numpy.random.seed(1)
        return first

    found = [run(draws) for _ in range(4)]
    assert len({a for a, _ in found}) == len({b for _, b in found}) == 4


def test_environment_variables(run: Callable[..., Any]) -> None:
    assert run(lambda: os.environ["MINE"], env={"MINE": "1", "OMP_NUM_THREADS": "7"}) == "1"
    assert run(lambda: (os.environ.get("MINE"), os.environ["OMP_NUM_THREADS"])) == (None, "2")
    assert run(lambda: [name for name in os.environ if "SECRET" in name]) == []
    assert run(lambda: os.environ["PICLOUD_JID"]) == "4"


def test_interpreter_persists_unless_it_shall_not(run: Callable[..., Any]) -> None:
    first, second = run(os.getpid), run(os.getpid)
    assert first == second
    assert run(os.getpid, kill_process=True) == first
    assert run(os.getpid) != first


def modules(**files: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.py", text)
    return made.getvalue()


def test_versions_of_shipped_modules_do_not_meet(run: Callable[..., Any]) -> None:
    def version() -> Any:
        import mine_for_test

        return mine_for_test.VERSION, mine_for_test.loaded.append(1) or len(mine_for_test.loaded)

    one = (modules(mine_for_test="VERSION = 1; loaded = []"),)
    two = (modules(mine_for_test="VERSION = 2; loaded = []"),)
    assert run(version, modules=one) == (1, 1)
    assert run(version, modules=two) == (2, 1)
    assert run(version, modules=one) == (1, 2)  # from the shelf, not loaded again


def test_modules_that_leave_their_folder_are_refused(control: FakeControl, start: Callable[..., Worker], tmp_path: Path) -> None:
    start(slots=1)
    outcome = control.outcome(control.give(lambda: 1, modules=(modules(**{"../../evil": ""}),)))
    assert outcome.failure is not None and "outside" in outcome.failure.message
    assert not list(tmp_path.rglob("evil.py"))


def test_large_arguments_and_results(control: FakeControl, start: Callable[..., Worker]) -> None:
    start(slots=1)
    spec = control.spec(lambda data: data[::-1])
    data = os.urandom(5 << 20)
    from picloud.wire import message as wire

    lease = control.lease(spec, data)
    control.blobs["big"], lease.data, lease.blob = lease.data, b"", "big"
    control.send(wire.Leases([spec], [lease]))
    outcome = control.outcome((lease.jid, 1))
    assert outcome.failure is None and outcome.data == b""
    assert pickle.loads(control.blobs[outcome.blob]) == data[::-1]


def test_array_results_travel_out_of_band(control: FakeControl, start: Callable[..., Worker]) -> None:
    start(slots=1)

    def array() -> Any:
        import numpy

        return numpy.arange(1000)

    from picloud.wire import payload

    outcome = control.outcome(control.give(array))
    assert outcome.data[:1] == b"B" and payload.loads(outcome.data).sum() == 499500
    assert "shape=(1000,)" in outcome.preview
