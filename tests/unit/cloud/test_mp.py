"""``cloud.mp`` and the simulator as modules; what their verbs do is in tests/contract."""

from __future__ import annotations

import os
import subprocess
import sys
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


def test_a_fork_of_the_client_has_jobs_of_its_own() -> None:
    assert mp.result(mp.call(abs, -1)) == 1
    pid = os.fork()
    if pid == 0:
        os._exit(10 + mp.result(mp.call(abs, -2)))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 12
    assert mp.result(mp.call(abs, -3)) == 3
    mp.close()


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
