"""Ways into running jobs for their owner: programs and connections, each over a channel that the worker dials outward.

One thread a channel. What may be asked for was decided by control; here it is only done, in the job's sandbox, and told.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import socket
import stat
import struct
import termios
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from picloud.sandbox.base import Guest, Inside, Terminal
from picloud.wire import channel, frames, nearby
from picloud.wire.error import CloudException, Conflict, NotFound, SetupError
from picloud.wire.message import Connect, Dial, Execute
from picloud.worker.guests import Guests
from picloud.worker.launch import SESSIONS
from picloud.worker.pump import Session, relay

log = logging.getLogger(__name__)

LOGIN = 'PATH="$PICLOUD_PATH:$PATH"; unset PICLOUD_PATH; exec {shell}'
"""A login shell's own start-up files forget the PATH of the job, where its interpreter is."""
SFTP_SERVER = "/run/picloud/sftp-server"
SFTP_SERVERS = (SFTP_SERVER, "/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server")
PATIENCE = 10.0  # seconds for the edge to answer


class Job(NamedTuple):
    """The attempt that a channel leads to."""

    inside: Inside
    folder: Path  # that its worker and its runner share
    env: dict[str, str]  # the job's own variables
    root: bool  # its guests are root inside
    guests: Guests
    greeting: str  # for who logs in at a terminal
    welcome: Callable[[], None]  # says that a guest comes; once more does no harm


def answer(dial: Dial, find: Callable[[int, int], Job | None]) -> None:
    """Open a channel in a thread of its own. ``find``: the attempt, if it is in hand now; called in that thread."""
    threading.Thread(target=_serve, args=(dial, find), name=f"channel of {dial.jid}", daemon=True).start()


def _serve(dial: Dial, find: Callable[[int, int], Job | None]) -> None:
    try:
        job = find(dial.jid, dial.n)
        if job is None:
            raise Conflict(f"job {dial.jid} does not run any more", jid=dial.jid)
        if isinstance(dial.what, Connect):
            _connect(dial, job, dial.what.port)
        else:
            _execute(dial, job, dial.what)
    except CloudException as error:
        _refuse(dial, error)
    except Exception as error:
        log.exception("a channel to job %d failed", dial.jid)
        _refuse(dial, CloudException(f"the worker could not open the channel: {error}"))


def _connect(dial: Dial, job: Job, port: int) -> None:
    try:
        inner = job.inside.connect(port)
    except OSError as error:
        raise NotFound(f"nobody listens on port {port} of job {dial.jid}", hint="is the server up yet?") from error
    line, early = _dial(dial)
    with inner, line:
        relay(line, inner, early)


def _execute(dial: Dial, job: Job, what: Execute) -> None:
    job.welcome()
    held = _hold(job.folder / SESSIONS)
    try:
        guest = _start(job, what)
        job.guests.add(guest)
        try:
            line, early = _dial(dial)
            with line:
                if what.terminal and not what.command and not what.subsystem:
                    line.sendall(channel.pack(channel.DATA, job.greeting.replace("\n", "\r\n").encode()))
                Session(line, guest, resize).run(early)
        finally:
            _let_go(job, guest)
    finally:
        if held is not None:
            os.close(held)


def _start(job: Job, what: Execute) -> Guest:
    env = job.inside.environment() | job.env | {name: value for name, value in what.env.items() if _is_welcome(name)}
    env["PICLOUD_PATH"] = env.get("PATH", "")
    if what.terminal:
        env["TERM"] = what.terminal
    terminal = Terminal(what.terminal, what.rows, what.columns) if what.terminal else None
    if what.subsystem:
        return _subsystem(job, what.subsystem, env)
    for shell in ("bash", "sh"):
        words = [shell, "-c", what.command] if what.command else [shell, "-lc", LOGIN.format(shell=shell)]
        try:
            return job.inside.open(words, env, terminal=terminal, root=job.root)
        except SetupError:
            if shell == "sh":
                raise
    raise SetupError("no shell")


def _subsystem(job: Job, name: str, env: dict[str, str]) -> Guest:
    if name != "sftp":
        raise NotFound(f"there is no subsystem {name[:40]!r}", hint="sftp is the only one")
    for program in SFTP_SERVERS:
        with contextlib.suppress(SetupError):
            return job.inside.open([program], env, root=job.root)
    raise SetupError("this machine has no sftp-server, which sftp and scp need", hint="install the package openssh-sftp-server")


def _let_go(job: Job, guest: Guest) -> None:
    job.guests.remove(guest)
    guest.program.close()
    for sock in (guest.stdio, guest.stderr):
        if sock is not None:
            sock.close()
    if guest.terminal >= 0:
        os.close(guest.terminal)


def _hold(path: Path) -> int | None:
    """A write end of the pipe of sessions; None where there is none. The job may have put anything there."""
    try:
        held = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    if stat.S_ISFIFO(os.fstat(held).st_mode):
        with contextlib.suppress(BlockingIOError):
            os.write(held, b"+")  # somebody has come
        return held
    os.close(held)
    return None


def _is_welcome(name: str) -> bool:
    return name in ("TERM", "LANG", "COLORTERM", "TZ") or name.startswith("LC_")


def resize(terminal: int, rows: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _dial(dial: Dial, headers: str = "") -> tuple[socket.socket, bytes]:
    """The channel to the edge, and what came through it already.

    Raises:
        OSError, CloudException: the edge does not answer, or wants it no more.
    """
    parts = urlsplit(f"//{dial.edge}")
    line = nearby.connect(parts.hostname or "", parts.port or 80, PATIENCE)
    try:
        early = frames.upgrade(line, parts.netloc, channel.PATH + dial.channel, headers)
    except BaseException:
        line.close()
        raise
    line.settimeout(None)
    return line, early


def _refuse(dial: Dial, error: CloudException) -> None:
    with contextlib.suppress(OSError, CloudException):
        _dial(dial, f"{channel.ERROR}: {channel.told(error)}\r\n")[0].close()
