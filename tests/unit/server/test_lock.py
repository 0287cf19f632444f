"""One server a home."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from picloud.server.lock import holder, lock
from picloud.wire.error import SetupError

HOLD = """
import sys
from pathlib import Path
from picloud.server.lock import lock
held = lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_server_is_told_the_pid_of_the_first(tmp_path: Path) -> None:
    with lock(tmp_path):
        assert holder(tmp_path) == os.getpid()
        with pytest.raises(SetupError, match=rf"another server \(pid {os.getpid()}\) serves"):
            lock(tmp_path)
    assert holder(tmp_path) is None
    lock(tmp_path).release()


def test_nobody_holds_an_empty_home(tmp_path: Path) -> None:
    assert holder(tmp_path) is None


def test_a_killed_server_lets_go(tmp_path: Path) -> None:
    first = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert first.stdout
    assert first.stdin
    assert first.stdout.readline() == b"held\n"
    assert holder(tmp_path) == first.pid
    first.kill()
    first.wait()
    first.stdout.close()
    first.stdin.close()
    assert holder(tmp_path) is None
    lock(tmp_path).release()


def test_children_do_not_keep_the_lock(tmp_path: Path) -> None:
    held = lock(tmp_path)
    child = subprocess.Popen(["sleep", "60"])
    held.release()
    assert holder(tmp_path) is None
    child.kill()
    child.wait()
