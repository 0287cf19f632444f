"""Starting and stopping the server of a home, as ``picloud up`` and ``down`` do it. Prints nothing."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from picloud.cli import packages
from picloud.engine import local, process
from picloud.server import home as homes
from picloud.server.home import ServerFile
from picloud.server.lock import holder
from picloud.settings import Settings
from picloud.wire.error import SetupError, from_dict

PYTHON = [sys.executable, "-P"]
"""``-P``: a file of the user's named like a module of ours must not be imported in its place."""

PROGRAM = ["-m", "picloud.server"]
"""The server program, as arguments of the interpreter."""

LOG = "server.log"
START_SECONDS = 60.0
"""A server that says nothing for so long (a migration of a large database may take a while) has failed."""

STOP_MARGIN = 10.0
"""Seconds allowed for stopping beyond the drain."""


def start(settings: Settings, overrides: dict[str, Any]) -> tuple[ServerFile, bool]:
    """Start the server in the background and wait until it answers.

    Args:
        settings: in force.
        overrides: ``host``, ``port``, ``insecure`` from the command line; None = not given.

    Returns:
        the server, and whether it is a new one (False: one ran already).

    Raises:
        SetupError: it could not start; the text says why.
    """
    home = Path(settings.home)
    homes.prepare(settings)
    if found := running(home):
        return found, False
    packages.check()
    log = home / LOG
    server = _spawn(home, overrides, log)
    try:
        return ready(server, log), True
    except SetupError:
        # Another `up` was faster: then its server is as good as ours.
        found = _awaited(home) if holder(home) else None
        if found is None:
            raise
        return found, False


def running(home: Path) -> ServerFile | None:
    """The server of a home, once it answers; None if none runs or is about to."""
    return homes.running(home) or (_awaited(home) if holder(home) else None)


def start_elsewhere(home: Path, begin: Callable[[], None], lives: Callable[[], bool]) -> ServerFile | None:
    """Have somebody else start the server, and wait until it answers.

    Args:
        begin: returns once it is on its way.
        lives: whether it still is.

    Returns:
        the server, or None: it ended before it answered.
    """
    begin()
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and lives():
        if found := homes.running(home):
            return found
        time.sleep(0.1)
    return homes.running(home)


class Launched:
    """A server program that was just started, its ready line still to come."""

    def __init__(self, pid: int, output: int) -> None:
        self.pid = pid
        self.output = output

    def line(self) -> bytes | None:
        """Its first line; b"" if it ended without one, None if it stayed silent."""
        deadline, got = time.monotonic() + START_SECONDS, b""
        with open(self.output, "rb", buffering=0) as stream:
            while not got.endswith(b"\n"):
                if not select.select([stream], [], [], max(deadline - time.monotonic(), 0))[0]:
                    return None
                piece = stream.read(65536)
                if not piece:
                    break
                got += piece
        return got

    def end(self) -> str:
        """End it if it still runs; how it ended, in words."""
        if not process.wait(self.pid, 1.0):
            os.kill(self.pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return f"ended with code {code}" if code >= 0 else f"was ended by signal {-code}"


def foreground(home: Path, overrides: dict[str, Any], prepare: Callable[[], None]) -> tuple[subprocess.Popen[bytes], Launched]:
    """Start the server program as a child that shares our terminal and stderr.

    Args:
        home: folder of its state.
        overrides: as for :func:`start`.
        prepare: called in the new process before the program.
    """
    packages.check()
    reading, writing = os.pipe()
    given = _given(overrides)
    server = subprocess.Popen(
        [*PYTHON, *PROGRAM], stdin=given, stdout=writing, env=_environment(home), cwd=home, preexec_fn=prepare
    )
    os.close(writing)
    os.close(given)
    return server, Launched(server.pid, reading)


def ready(server: Launched, log: Path | None) -> ServerFile:
    """Wait for the ready line of a launched server.

    Raises:
        SetupError: it said why it cannot start, ended, or stayed silent; ``log`` tells where to look.
    """
    line = server.line()
    if line and line.startswith(b"{"):
        said = json.loads(line)
        if "error" not in said:
            return msgspec.convert(said, ServerFile)
        server.end()
        raise from_dict(said["error"])
    how = server.end()
    last = _last_line(log) if log and line is not None else ""
    raise SetupError(
        f"the server {how if line is not None else 'did not answer'} before it was ready{f': {last}' if last else ''}",
        hint=f"see {log}" if log else "see picloud doctor",
    )


def stop(settings: Settings, tell: Callable[[str], None] = lambda text: None) -> tuple[ServerFile | None, int]:
    """Stop the server of a home, wait for its drain, and clear whatever is left of the installation's processes.

    Args:
        settings: in force; ``home`` and ``drain`` are used.
        tell: called with a line when the wait begins.

    Returns:
        the server that was stopped (None: none ran), and how many processes had to be killed after it.
    """
    home = Path(settings.home)
    if not home.is_dir():
        return None, 0
    found = homes.running(home)
    # A server that is still starting, or whose server.json was removed, holds the lock all the same.
    pid = found.pid if found else holder(home)
    since = process.started(pid) if pid else None
    # First, for nobody knows whether the server, if there is one, gets as far as closing its workers' rows in order.
    homes.note_stopped(home, local.living(home))
    if pid and since:
        tell(f"Stopping; running jobs have {settings.drain:g} s.")
        process.terminate(pid, since, settings.drain + STOP_MARGIN)
    left = local.clear_all(home)
    homes.remove_server_file(home)
    return found, left


def stop_server_only(settings: Settings) -> ServerFile | None:
    """Stop only the server: workers compute on. Returns what it was, or None if none ran."""
    home = Path(settings.home)
    found = homes.running(home) if home.is_dir() else None
    if found is None:
        return None
    os.kill(found.pid, signal.SIGUSR1)
    if not process.wait(found.pid, STOP_MARGIN):
        os.kill(found.pid, signal.SIGKILL)
        process.wait(found.pid, STOP_MARGIN)
    return found


def _awaited(home: Path) -> ServerFile | None:
    """The server that holds the lock, as soon as it answers; None if it lets go instead."""
    deadline = time.monotonic() + START_SECONDS
    while holder(home) and time.monotonic() < deadline:
        found = homes.running(home)
        if found:
            return found
        time.sleep(0.05)
    return homes.running(home)


def _spawn(home: Path, overrides: dict[str, Any], log: Path) -> Launched:
    """Start the server program in a session of its own; it outlives us."""
    reading, writing = os.pipe()
    given = _given(overrides)
    with contextlib.chdir(home):  # it must not keep a folder of the user's busy
        pid = os.posix_spawn(
            PYTHON[0],
            [*PYTHON, *PROGRAM],
            _environment(home),
            file_actions=[
                (os.POSIX_SPAWN_DUP2, given, 0),
                (os.POSIX_SPAWN_DUP2, writing, 1),
                (os.POSIX_SPAWN_OPEN, 2, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            ],
            setsid=True,
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE],
        )
    os.close(writing)
    os.close(given)
    return Launched(pid, reading)


def _given(overrides: dict[str, Any]) -> int:
    """The reading end of a pipe that holds the options as one line of JSON."""
    reading, writing = os.pipe()
    os.write(writing, json.dumps({name: value for name, value in overrides.items() if value is not None}).encode() + b"\n")
    os.close(writing)
    return reading


def _environment(home: Path) -> dict[str, str]:
    return os.environ | {"PICLOUD_HOME": str(home), process.INSTANCE: process.instance(home)}


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1].strip()[:300] if lines else ""
