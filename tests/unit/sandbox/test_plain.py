"""The sandbox without isolation: what a job starts ends with it, also what left its session."""

import os
import select
import signal
import sys
from pathlib import Path

import pytest

from picloud.sandbox.base import Limits
from picloud.sandbox.plain import PlainProcess, PlainSandbox

LEAVES = """
import subprocess, sys
child = subprocess.Popen(["sleep", "600"], start_new_session=True, stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
sys.stdin.read() if sys.argv[1] == "stays" else None
"""


def start(folder: Path, what: str) -> tuple[PlainProcess, int]:
    """A process in a sandbox, and the pid of its child in another session."""
    read, write = os.pipe()
    env = {"PATH": os.environ["PATH"], "PICLOUD_SOCKET": str(folder / "door.sock")}
    program = LEAVES if what == "leaves" else LEAVES + "import signal; signal.pause()"
    process = PlainSandbox(folder, Limits(), {}, {}).inside.start([sys.executable, "-c", program, what], env, {1: write, 2: 2})
    os.close(write)
    with os.fdopen(read) as said:
        return process, int(said.readline())


@pytest.mark.parametrize("what", ["stays", "leaves"])
def test_the_end_takes_children_of_other_sessions_along(tmp_path: Path, what: str) -> None:
    process, child = start(tmp_path, what)
    handle = os.pidfd_open(child)
    if what == "leaves":
        assert process.wait() == 0
    assert child in process.end()
    assert select.select([handle], [], [], 5)[0], "the child still runs"
    assert process.wait() in (0, -signal.SIGKILL)
    os.close(handle)
    process.close()


def test_children_of_other_sessions_are_members(tmp_path: Path) -> None:
    process, child = start(tmp_path, "stays")
    assert set(process.members()) == {process.pid, child}
    process.end()
    process.wait()
    process.close()
