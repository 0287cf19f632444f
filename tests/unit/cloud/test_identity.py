"""What OpenSSH's client is told."""

import os
import threading
from pathlib import Path

import pytest

import cloud
from cloud import _shell
from cloud.shortcuts.ssh import get_ssh_info


def test_a_simulated_job_has_no_shell_but_its_port() -> None:
    from cloud import _session

    before = _session._simulates
    cloud.start_simulator()
    try:
        with pytest.raises(cloud.CloudException, match="key pair"):
            get_ssh_info(1)
        jid = cloud.call(abs, -1)
        assert cloud.wait_for.port(jid, 8000) == {"address": "127.0.0.1", "port": 8000}
        assert cloud.wait_for.status(jid, "done", timeout=30) == "done"
        with pytest.raises(cloud.CloudException, match="without status error"):
            cloud.wait_for.status(jid, "error", timeout=30)
    finally:
        _session._simulates = before


def test_a_shell_waits_for_its_last_session(tmp_path: Path) -> None:
    pipe = tmp_path / "sessions"
    os.mkfifo(pipe)
    assert _shell.wait(str(pipe), 0.01) is False, "nobody comes"
    ended = threading.Event()

    def job() -> None:
        if _shell.wait(str(pipe), 20):
            ended.set()

    thread = threading.Thread(target=job)
    thread.start()
    first, second = (os.open(pipe, os.O_RDWR | os.O_NONBLOCK) for _ in range(2))
    for held in (first, second):
        os.write(held, b"+")
    os.close(first)
    assert not ended.wait(0.05)
    os.close(second)
    assert ended.wait(20)
    thread.join()
