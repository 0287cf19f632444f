"""``cloud.mp`` and the simulator as modules; what their verbs do is in tests/contract."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

import cloud
from cloud import _session, _simulator, mp


def test_mp_has_the_verbs_of_cloud() -> None:
    for name in ("call", "map", "status", "join", "result", "iresult", "info", "kill", "delete", "jobs", "connection_info"):
        assert callable(getattr(mp, name))
        assert name in mp.__all__
    assert mp.finished_statuses == cloud.finished_statuses


def test_close_forgets_all_jobs_and_num_procs_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    jid = mp.call(os.getpid)
    pid = mp.result(jid)
    assert mp.close() is True
    assert mp.close() is False
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    monkeypatch.setitem(_session.config._all(), "num_procs", 3)
    assert mp.connection_info()["num_procs"] == 3
    with pytest.raises(cloud.CloudException):
        mp.status(jid)
    mp.close()


def test_num_procs_0_is_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    mp.close()
    monkeypatch.setitem(_session.config._all(), "num_procs", 0)
    assert mp.connection_info()["num_procs"] == os.cpu_count()
    mp.close()


FORKING = """
import os, sys
from cloud import mp
nested = lambda: __import__("cloud").mp.result(__import__("cloud").mp.call(abs, -1))
assert mp.result(mp.call(nested)) == 1
pid = os.fork()
if pid == 0:
    sys.exit(10 + mp.result(mp.call(abs, -2)))
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 12
pid = os.fork()
if pid == 0:
    sys.exit(7)                     # unused there: its end must not touch what the parent has
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
assert mp.result(mp.call(nested)) == 1
"""


def test_a_fork_of_the_client_has_jobs_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_client_that_is_killed_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import os, signal, time; from cloud import mp\n"
        "jid = mp.call(time.sleep, 600)\n"
        "while mp.status(jid) != 'processing': pass\n"
        "print(mp.info(jid, 'attempts')[jid]['attempts'][0]['worker'].split()[-1], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    places = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, env=places)
    assert done.returncode == -9
    _until_gone(int(done.stdout))
    [left] = tmp_path.glob("picloud-mp-*/door")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    mp.close()
    assert mp.result(mp.call(abs, -1)) == 1
    assert not left.parent.exists()  # the next client has cleared it away
    mp.close()
    assert not [*tmp_path.iterdir()]


def _until_gone(pid: int) -> None:
    """No such process, or a zombie that nobody has collected yet."""
    end = time.monotonic() + 30
    while True:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except FileNotFoundError:
            return
        assert time.monotonic() < end
        threading.Event().wait(0.01)


def test_jobs_see_folder_and_path_of_the_client_as_they_are_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mp.result(mp.call(os.getcwd)) == os.getcwd()
    (tmp_path / "fresh_module_of_mine.py").write_text("def told():\n    return 'fresh'\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    import fresh_module_of_mine  # type: ignore[import-not-found]

    assert mp.result(mp.call(fresh_module_of_mine.told)) == "fresh"
    assert mp.result(mp.call(os.getcwd)) == str(tmp_path)


def test_the_simulator_can_be_restarted_and_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_session, "_simulates", None)
    cloud.start_simulator()
    jid = cloud.call(lambda: cloud.is_simulated() and not cloud.running_on_cloud())
    assert cloud.result(jid) is True
    cloud.start_simulator()
    assert cloud.status(jid) == "done"
    cloud.start_simulator(force_restart=True)
    with pytest.raises(cloud.CloudException):
        cloud.status(jid)
    assert cloud.result(cloud.call(abs, -1)) == 1
    assert _simulator.stop() is True
    assert _simulator.stop() is False


def test_a_job_is_not_told_to_have_used_the_memory_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_session.config._all(), "num_procs", 1)
    mp.close()
    large, small = mp.call(lambda: len(bytearray(200_000_000))), mp.call(lambda: 1)
    mp.join([large, small])
    used = {jid: facts["memory.max_usage"] for jid, facts in mp.info([large, small], "memory.max_usage").items()}
    mp.close()
    assert used[large] > 200_000_000 > used[small] > 1_000_000


def test_ctrl_c_names_the_verbs_of_mp(capsys: pytest.CaptureFixture[str]) -> None:
    jid = mp.call(time.sleep, 600)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(KeyboardInterrupt):
            mp.join(jid)
    finally:
        signal.signal(signal.SIGALRM, before)
    mp.kill(jid)
    said = capsys.readouterr().err
    assert f"run on until this process ends. cloud.mp.join({jid}) waits for them again, cloud.mp.kill({jid}) ends them" in said


def test_a_program_that_ends_leaves_no_process(tmp_path: Path) -> None:
    script = tmp_path / "main.py"
    script.write_text(
        "import os, time\nfrom cloud import mp\n"
        "class Mine:\n    pass\n"
        "def f(x):\n    return Mine, os.getpid()\n"
        "if __name__ == '__main__':\n"
        "    kind, pid = mp.result(mp.call(f, 1))\n"
        "    assert kind is Mine\n"
        "    running = mp.call(time.sleep, 600)\n"
        "    while mp.status(running) != 'processing': pass\n"
        "    print(pid, mp.info(running, 'attempts')[running]['attempts'][0]['worker'].split()[-1])\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    for pid in done.stdout.split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)
