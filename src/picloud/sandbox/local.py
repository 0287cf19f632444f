"""The way into a sandbox that isolates nothing: programs are started beside the job, connections are the host's own."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import pty
import signal
import socket
import struct
import subprocess
import termios
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from picloud.sandbox.base import Gauge, Guest, Program, Terminal
from picloud.wire.error import SetupError

_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1
LISTENS = "0A"
"""The state of a listening socket in /proc/net/tcp."""


class LocalProgram:
    """A program in a session of its own. What it leaves behind is found by the slot's mark when the slot ends."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        self.pid = child.pid
        self.pidfd = os.pidfd_open(child.pid)

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def wait(self) -> int:
        return self._child.wait()

    def close(self) -> None:
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1


class LocalInside:
    """The way into one slot.

    Args:
        home: folder where programs start.
        env: environment of a shell in the slot, as the runner has it.
        members: the pids of all that live in the slot.
    """

    def __init__(self, home: Path, env: Mapping[str, str], members: Callable[[], Iterable[int]]) -> None:
        self._home, self._env, self._members = home, dict(env), members
        self._known: dict[str, bool] = {}  # listening sockets of the host: whether they are ours

    def start(
        self, argv: Sequence[str], env: Mapping[str, str], fds: Mapping[int, int], *, cwd: str = "", root: bool = False
    ) -> Program:
        return self._start(argv, env, fds, cwd, terminal=False)

    def open(self, argv: Sequence[str], env: Mapping[str, str], *, terminal: Terminal | None = None, root: bool = False) -> Guest:
        if terminal is not None:
            return self._on_terminal(argv, dict(env) | {"TERM": terminal.kind}, terminal)
        ours, theirs = socket.socketpair()
        ours_err, theirs_err = socket.socketpair()
        with theirs, theirs_err:
            try:
                inner = {0: theirs.fileno(), 1: theirs.fileno(), 2: theirs_err.fileno()}
                return Guest(self._start(argv, env, inner, "", terminal=False), ours, ours_err)
            except BaseException:
                ours.close()
                ours_err.close()
                raise

    def connect(self, port: int) -> socket.socket:
        for host in ("127.0.0.1", "::1"):
            with contextlib.suppress(OSError):
                made = socket.create_connection((host, port), 10.0)
                made.settimeout(None)
                if made.getsockname()[:2] != made.getpeername()[:2]:
                    return made
                made.close()
        raise ConnectionError(f"nobody listens on port {port} in the job")

    def listen(self, address: str, port: int) -> socket.socket:
        raise OSError(f"{address} is the host's own here: what listens there is seen already")

    def ports(self) -> list[int]:
        table = _listening()
        if table.keys() - self._known.keys():  # whose a socket is does not change: only new ones are looked for
            ours = self._sockets()
            self._known = {link: self._known.get(link, False) or link in ours for link in table}
        else:
            self._known = {link: self._known[link] for link in table}
        return sorted({port for link, ports in table.items() if self._known[link] for port in ports})

    def _sockets(self) -> set[str]:
        """Link texts of all descriptors here."""
        found = set()
        for pid in self._members():
            with contextlib.suppress(OSError):
                for name in os.listdir(f"/proc/{pid}/fd"):
                    with contextlib.suppress(OSError):
                        found.add(os.readlink(f"/proc/{pid}/fd/{name}"))
        return found

    def environment(self) -> dict[str, str]:
        return dict(self._env)

    def gauge(self) -> Gauge:
        return Gauge()

    def _on_terminal(self, argv: Sequence[str], env: Mapping[str, str], terminal: Terminal) -> Guest:
        master, slave = pty.openpty()
        try:
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", terminal.rows, terminal.columns, 0, 0))
            program = self._start(argv, env, dict.fromkeys((0, 1, 2), slave), "", terminal=True)
        except BaseException:
            os.close(master)
            raise
        finally:
            os.close(slave)
        return Guest(program, None, None, master)

    def _start(
        self, argv: Sequence[str], env: Mapping[str, str], fds: Mapping[int, int], cwd: str, *, terminal: bool
    ) -> LocalProgram:
        parent = os.getpid()

        def prepare() -> None:
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):  # whatever we ignore, guests do not
                signal.signal(number, signal.SIG_DFL)
            if terminal:
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        home = Path(cwd) if cwd else self._home
        home.mkdir(parents=True, exist_ok=True)
        streams = [fds.get(number, subprocess.DEVNULL) for number in (0, 1, 2)]
        try:
            child = subprocess.Popen(
                argv,
                env=dict(env),
                stdin=streams[0],
                stdout=streams[1],
                stderr=streams[2],
                pass_fds=[fd for number, fd in fds.items() if number > 2],
                start_new_session=True,
                cwd=home,
                preexec_fn=prepare,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise SetupError(f"{argv[0]} could not be started: {error}", hint="is it installed there?") from error
        return LocalProgram(child)


def _listening() -> dict[str, set[int]]:
    """Link text of each listening TCP socket of this host, with its port."""
    found: dict[str, set[int]] = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == LISTENS:
                found.setdefault(f"socket:[{fields[9]}]", set()).add(int(fields[1].rpartition(":")[2], 16))
    return found
