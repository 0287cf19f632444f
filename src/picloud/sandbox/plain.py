"""The sandbox that isolates nothing: a session of its own, limits by rlimit, killed together with its worker."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from picloud.sandbox import lacks, proc, ration, tree
from picloud.sandbox.base import Gauge, Limits, Program
from picloud.sandbox.local import LocalInside

_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1
MARK = "PICLOUD_SOCKET"
"""Environment variable by which processes are found that left the session: each slot has a door of its own."""
DOOR = "door.sock"
ATTEMPTS = 8  # at making a session nicer
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
        with contextlib.suppress(OSError):  # it has ended, or was let go of
            signal.pidfd_send_signal(self.pidfd, number)

    def members(self) -> list[int]:
        found = {self.pid}
        family = {pid: kin for pid in _all_pids() if (kin := _kin(pid)) is not None}
        while more := {pid for pid, kin in family.items() if pid not in found and (kin[1] == self.pid or kin[0] in found)}:
            found |= more
        return [pid for pid in found if pid in family]

    def wait(self) -> int:
        return self._child.wait()

    def close(self) -> None:
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1

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


class PlainInside(LocalInside):
    """The way in, and the runner's start."""

    def __init__(self, folder: Path, limits: Limits, env: Mapping[str, str]) -> None:
        super().__init__(folder / "home", env, self._members)
        self.folder, self.limits = folder, limits
        self.runner: PlainProcess | None = None

    def start(
        self, argv: Sequence[str], env: Mapping[str, str], fds: Mapping[int, int], *, cwd: str = "", root: bool = False
    ) -> Program:
        parent, nice = os.getpid(), ration.niceness(self.limits)

        def prepare() -> None:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:  # the worker died before the line above
                os._exit(1)
            if nice:
                _be_nice(nice)
            for number, value in self._rlimits().items():
                resource.setrlimit(number, (value, value))

        child = subprocess.Popen(
            argv,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=fds.get(1, subprocess.DEVNULL),
            stderr=fds.get(2, subprocess.DEVNULL),
            pass_fds=[fd for number, fd in fds.items() if number > 2],
            start_new_session=True,
            cwd=self.folder,
            preexec_fn=prepare,
        )
        self.runner = PlainProcess(child, os.fsencode(f"\0{MARK}={env[MARK]}\0") if MARK in env else b"")
        return self.runner

    def gauge(self) -> Gauge:
        found = proc.gauge(self.runner.pid) if self.runner else None
        return found or Gauge()

    def _members(self) -> list[int]:
        return sorted(self.runner.everything()) if self.runner else []

    def _rlimits(self) -> dict[int, int]:
        found = {resource.RLIMIT_CORE: 0}
        if self.limits.memory:
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            wanted = 2 * self.limits.memory + HARD_SLACK
            found[resource.RLIMIT_DATA] = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        return found


class PlainSandbox:
    """A folder and a process session; see :class:`picloud.sandbox.base.Sandbox`."""

    kit, kernel_limits = "", False

    def __init__(self, folder: Path, limits: Limits, env: Mapping[str, str], shared: Mapping[str, str]) -> None:
        self.run, self.here = folder, str(folder)
        self.home = str(folder / "home")
        self.folders: Sequence[str] = [str(folder / "tmp")]
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "out").mkdir(exist_ok=True, mode=0o700)
        for place, source in shared.items():
            (folder / place).symlink_to(source)
        own = {"HOME": self.home, "TMPDIR": self.folders[0], MARK: str(folder / DOOR)}
        path = [os.path.dirname(sys.executable), _command(folder / "bin"), env.get("PATH", os.defpath)]
        self.inside = PlainInside(folder, limits, dict(env) | own | {"PATH": ":".join(path)})
        self.python = [sys.executable]

    def held(self) -> int:
        return proc.memory(self.inside.runner.pid) if self.inside.runner is not None else 0

    def oom_kills(self) -> int:
        return 0

    def strike(self) -> None:
        if self.inside.runner is not None:
            self.inside.runner.end()

    def reusable(self) -> bool:
        return False

    def end(self) -> None:
        runner, self.inside.runner = self.inside.runner, None
        if runner is not None:
            runner.end()


def _command(folder: Path) -> str:
    """A folder with the command ``picloud``, for programs whose PATH has none."""
    folder.mkdir(exist_ok=True, mode=0o700)
    path = folder / "picloud"
    path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m picloud "$@"\n')
    path.chmod(0o700)
    return str(folder)


class PlainMaker:
    """See :class:`picloud.sandbox.base.Maker`. ```env``: variables that every job gets; ``shared``: name -> folder."""

    rung = "D"

    def __init__(self, limits: Limits, env: Mapping[str, str], shared: Mapping[str, str]) -> None:
        self._limits, self._env, self._shared = limits, env, shared
        self.lacks = lacks.told(self.rung, True, True)

    def make(self, folder: Path) -> PlainSandbox:
        return PlainSandbox(folder, self._limits, self._env, self._shared)

    def remove(self, folder: Path) -> None:
        tree.remove(str(folder))

    def close(self) -> None:
        """Its sandboxes end with their runners."""


def _be_nice(nice: int) -> None:
    """Give way to others by so much; where the kernel shares CPU time among sessions, the session too."""
    os.nice(nice)
    for _ in range(ATTEMPTS):
        try:
            Path("/proc/self/autogroup").write_text(str(nice))
        except BlockingIOError:  # a user may do that ten times a second
            time.sleep(0.05)
            continue
        except OSError:
            pass  # the kernel does not share so
        return


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
