"""What a sandbox is to those that use it, whatever rung of the ladder it stands on.

A sandbox is a place with a file system view, limits and a way in. Programs are started in it, connections are opened to
what listens in it, and it ends as a whole. All calls block for milliseconds; they may come from any thread.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from msgspec import Struct

PROCESSES = 1024
"""Processes and threads of a job, for each of its cores; more than that only make each other slow."""


class Limits(Struct, frozen=True):
    """What the processes of one sandbox may use together."""

    memory: int = 0  # bytes of RAM; 0 = no limit
    cores: int = 1
    units: int = 1000  # compute units, thousandths: the weight by which CPU time is shared
    disk: int = 0  # bytes in the root layer, home and /tmp together; 0 = no limit
    pids: int = 0  # processes and threads; 0 = no limit


class Gauge(Struct, frozen=True):
    """What a sandbox has used since it was made, and uses now. None: this machine cannot tell."""

    cpu_user_us: int = 0
    cpu_system_us: int = 0
    memory: int = 0  # bytes of RAM now, without the page cache
    cache: int | None = None  # bytes of page cache
    swap: int | None = None
    limit_hits: int | None = None  # times that the limit was hit, and reclaiming memory was enough
    refused: int | None = None  # times that memory was refused
    kernel_kills: int | None = None  # processes killed for lack of memory
    disk_read: int | None = None  # bytes, since the sandbox was made
    disk_written: int | None = None
    net_in: int | None = None
    net_out: int | None = None
    disk_used: int | None = None  # bytes in the root layer, home and /tmp now
    processes: int | None = None
    forks_refused: int | None = None  # times that there could not be one process or thread more


class Terminal(Struct, frozen=True):
    """A pseudo-terminal to start a program on."""

    kind: str = "xterm"  # TERM
    rows: int = 24
    columns: int = 80


class Program(Protocol):
    """A program that was started in a sandbox."""

    pid: int  # as the host numbers it
    pidfd: int  # readable when it has ended; closed by :meth:`close`

    def signal(self, number: int) -> None:
        """Send a signal; nothing happens if it has ended."""

    def wait(self) -> int:
        """Its exit status, negative for a signal; blocks until it ends."""

    def close(self) -> None:
        """Let go of it; it runs on."""


class Guest(Struct):
    """A program with its streams, for whoever sits in front of it."""

    program: Program
    stdio: socket.socket | None  # stream socket: its stdin and stdout; None on a terminal
    stderr: socket.socket | None  # None on a terminal
    terminal: int = -1  # descriptor of the terminal's outer end: what is read and written, and resized; -1 without one


class Inside(Protocol):
    """The way into a living sandbox."""

    def start(
        self, argv: Sequence[str], env: Mapping[str, str], fds: Mapping[int, int], *, cwd: str = "", root: bool = False
    ) -> Program:
        """Start a program as the job's user (or as root inside, in set-up sandboxes).

        Args:
            argv: program (a path inside, or a name on the PATH of ``env``) and arguments.
            env: its whole environment.
            fds: descriptor it gets -> descriptor of ours, 0 to 2 included; those that are missing lead to /dev/null.
            cwd: working directory inside; "" = home.

        Raises:
            SetupError: it could not be started (not found, not executable), or the sandbox has ended.
        """

    def open(self, argv: Sequence[str], env: Mapping[str, str], *, terminal: Terminal | None = None, root: bool = False) -> Guest:
        """Start a program with sockets as its streams, or on a pseudo-terminal. Raises as :meth:`start`."""

    def connect(self, port: int) -> socket.socket:
        """A TCP connection to what listens on ``port`` in the sandbox, on 127.0.0.1 or ::1.

        Raises:
            ConnectionError: nobody listens there, or the sandbox has ended.
        """

    def listen(self, address: str, port: int) -> socket.socket:
        """A socket that listens inside, accepting connections for us.

        Raises:
            OSError: the address is taken there.
        """

    def ports(self) -> list[int]:
        """The TCP ports that programs inside listen on, sorted; ours from :meth:`listen` are not among them."""

    def environment(self) -> dict[str, str]:
        """Environment of a shell inside: HOME, PATH, USER, SHELL, PICLOUD_SOCKET, LANG."""

    def gauge(self) -> Gauge:
        """What it has used."""


class Sandbox(Protocol):
    """The place of one slot, as its worker sees it."""

    run: Path  # folder of the host that the worker and the runner share
    here: str  # where the runner sees that folder
    home: str  # as the runner sees it
    folders: Sequence[str]  # further folders that every job finds empty, as the runner sees them
    kit: str  # folder with the platform's packages, as the runner sees it; "" = the interpreter has them
    python: list[str]  # the words that start the interpreter for jobs; empty: the image has none that fits
    kernel_limits: bool  # whether the kernel sees to the memory limit

    @property
    def inside(self) -> Inside:
        """The way in."""

    def held(self) -> int:
        """Bytes of RAM that everything inside holds now: a quick look, for where the kernel does not see to the limit."""

    def oom_kills(self) -> int:
        """Processes killed for lack of memory, so far."""

    def strike(self) -> None:
        """Kill the runner, with everything that can only be found through it, at once and without waiting."""

    def reusable(self) -> bool:
        """Whether nothing is left inside, so that a new runner finds it as if it were new."""

    def end(self) -> None:
        """Kill everything inside, wait for it, and let go of the place."""


@runtime_checkable
class Journaled(Protocol):
    """A sandbox with a system log of its own."""

    journal: socket.socket  # a datagram is a line

    def runs(self, pid: int) -> None:
        """The runner has this pid."""

    def disk(self) -> int:
        """Bytes that it holds on disk; may take a while."""


@runtime_checkable
class Mounting(Protocol):
    """A sandbox in which further folders can be shown while it lives."""

    def mount(self, place: str, *, over: bool = False) -> int:
        """Show a folder whose content comes over FUSE.

        Args:
            place: an absolute path inside; made if it is not there.
            over: it covers what was mounted there before, and is not served any more.

        Returns:
            The device on which the kernel asks; the caller closes it, with which the folder is dead.

        Raises:
            SetupError: this machine has no FUSE, or the sandbox has ended.
        """


class Maker(Protocol):
    """Makes sandboxes of one kind; one for each worker."""

    rung: str  # A to D
    lacks: list[str]  # what its jobs should know that they do not get, a sentence each

    def make(self, folder: Path) -> Sandbox:
        """A new sandbox in a folder of its own, which is made. Blocks for about 50 ms; from any thread.

        Raises:
            SetupError: it could not be made; the text says which step failed.
        """

    def remove(self, folder: Path) -> None:
        """Remove such a folder, whoever owns what lies in it."""

    def close(self) -> None:
        """End every sandbox."""
