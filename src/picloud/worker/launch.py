"""From nothing to a runner that says it is ready: its sandbox, its door, its sockets and pipes. Runs in a thread of the loop."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from pathlib import Path
from typing import NamedTuple

from picloud.sandbox import kit
from picloud.sandbox.base import Maker, Program, Sandbox
from picloud.wire.error import SetupError
from picloud.worker import surroundings
from picloud.worker.logs import Pipe
from picloud.worker.mounts import Mounts

SESSIONS = "sessions"
MAIN = "from picloud.worker.runner import main; main()"


class Launched(NamedTuple):
    """A runner on its way, with our ends of everything."""

    process: Program
    socket: socket.socket
    out: Pipe
    err: Pipe


def place(maker: Maker, folder: Path, used: Sandbox | None, fit: bool) -> Sandbox:
    """The sandbox for the next runner: the one in use where nothing is left in it, else a new one in ``folder``.

    Args:
        fit: whether nobody but jobs has been in the one in use, and its last runner left in order; whatever may have ended
            that may also lie in wait.

    Raises:
        SetupError: it could not be made.
    """
    if used is not None and fit and used.reusable():
        return used
    if used is not None:
        used.end()
    maker.remove(folder)
    return maker.make(folder)


def runner(sandbox: Sandbox, feed: int, cores: int, root: bool, mounts: Mounts | None) -> Launched:
    """Start a runner.

    Args:
        feed: descriptor of the job socket, which runners read.
        cores: of each job.
        root: it is root inside (set-up jobs).
        mounts: what is shown there.

    Raises:
        SetupError: it could not be started.
    """
    if not sandbox.python:
        raise SetupError("this environment has no Python that could run jobs", hint="use one with Python, or picloud exec")
    mark = os.urandom(24)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    out, err = Pipe(mark), Pipe(mark)
    order = {
        "folder": sandbox.here, "home": sandbox.home, "folders": sandbox.folders, "code": f"{sandbox.here}/code",
        "specs": f"{sandbox.here}/specs", "feed": feed, "result": theirs.fileno(), "mark": mark.hex(), "path": "",
        "mounts": mounts.places if mounts else [], "page": mounts.page.file if mounts else -1,
    }  # fmt: skip
    boot = (kit.BOOT.format(sandbox.kit) if sandbox.kit else "") + MAIN
    env = sandbox.inside.environment() | surroundings.threads(cores)
    if sandbox.kit:
        order["path"] = env.pop("PYTHONPATH", "")
        env["PYTHONNOUSERSITE"] = "1"
    env["PICLOUD_SESSIONS"] = f"{sandbox.here}/{SESSIONS}"
    fds = {1: out.writer, 2: err.writer, feed: feed, theirs.fileno(): theirs.fileno()}
    if mounts:
        fds[mounts.page.file] = mounts.page.file
    try:
        process = sandbox.inside.start([*sandbox.python, "-P", "-c", boot, json.dumps(order)], env, fds, root=root)
    except BaseException:
        ours.close()
        for pipe in (out, err):
            pipe.started()
            pipe.close()
        raise
    finally:
        theirs.close()
    ours.setblocking(False)
    for pipe in (out, err):
        pipe.started()
    return Launched(process, ours, out, err)


def pipe_of_sessions(sandbox: Sandbox) -> None:
    """The pipe whose writers are a job's guests; see ``picloud.worker.channel``."""
    with contextlib.suppress(FileExistsError):
        os.mkfifo(sandbox.run / SESSIONS, 0o644)
