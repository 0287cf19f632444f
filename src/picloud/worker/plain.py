"""The sandbox that isolates nothing: a session of its own, limits by rlimit, killed together with its worker."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from picloud.worker.sandbox import Limits

_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
MARK = "PICLOUD_SOCKET"
"""Environment variable by which processes are found that left the session: each slot has a door of its own."""
HARD_SLACK = 1 << 30
"""Private memory beyond twice the limit that is refused outright. Resident memory is watched at the limit itself; this
only stops a job that grows faster than the watch looks, without counting the stacks of idle threads against it."""


class PlainProcess:
    """A process that leads a session."""

    def __init__(self, child: subprocess.Popen[bytes], mark: bytes) -> None:
        self._child, self._mark = child, mark
        self.pid = child.pid
        self.pidfd = os.pidfd_open(child.pid)

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)

    def members(self) -> list[int]:
        found = {self.pid}
        family = {pid: kin for pid in _all_pids() if (kin := _kin(pid)) is not None}
        while more := {pid for pid, kin in family.items() if pid not in found and (kin[1] == self.pid or kin[0] in found)}:
            found |= more
        return [pid for pid in found if pid in family]

    def wait(self) -> int:
        return self._child.wait()

    def end(self) -> list[int]:
        found, alive = set[int](), self.everything()  # seen while the first process still holds them together
        self.signal(signal.SIGKILL)
        for _ in range(10):  # members may still fork while they are killed
            for pid in alive:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            if alive <= found | {self.pid}:
                break
            found |= alive
            alive = self.everything()
        return sorted(found - {self.pid})

    def everything(self) -> set[int]:
        """Also those that left the session."""
        return set(self.members()) | _marked(self._mark)


class PlainSandbox:
    """A folder and a process session."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder, self.limits = folder, limits
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def start(self, argv: Sequence[str], env: dict[str, str], fds: Sequence[int], outputs: tuple[int, int]) -> PlainProcess:
        parent = os.getpid()

        def prepare() -> None:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # orphans of a job come back to its runner, to be seen
            if os.getppid() != parent:  # the worker died before the line above
                os._exit(1)
            for number, value in self._rlimits().items():
                resource.setrlimit(number, (value, value))

        child = subprocess.Popen(
            argv,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=outputs[0],
            stderr=outputs[1],
            pass_fds=fds,
            start_new_session=True,
            cwd=self.folder,
            preexec_fn=prepare,
        )
        return PlainProcess(child, os.fsencode(f"\0{MARK}={env[MARK]}\0") if MARK in env else b"")

    def _rlimits(self) -> dict[int, int]:
        found = {resource.RLIMIT_CORE: 0}
        if self.limits.memory:
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            wanted = 2 * self.limits.memory + HARD_SLACK
            found[resource.RLIMIT_DATA] = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        return found


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _marked(mark: bytes) -> set[int]:
    """The living processes that inherited a mark."""
    found = set()
    for pid in _all_pids() if mark else ():
        with contextlib.suppress(OSError):
            if mark in b"\0" + Path(f"/proc/{pid}/environ").read_bytes() and _kin(pid) is not None:
                found.add(pid)
    return found - {os.getpid()}


def _kin(pid: int) -> tuple[int, int] | None:
    """Parent and session of a process that is not a zombie."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (OSError, ValueError):
        return None
    return None if state in (b"Z", b"X") else (int(rest[0]), int(rest[2]))
