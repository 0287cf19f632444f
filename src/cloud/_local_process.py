"""One worker process of this machine, seen from the client: its socket, its output files, its end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from typing import IO

import msgspec

from cloud import _local_runner
from cloud._local_jobs import LocalJob
from cloud._local_runner import Ended, Task
from picloud.wire.job import Cause, Failure
from picloud.wire.message import Outcome

OUTPUT_KEPT = 256 * 1024
"""Last bytes of stdout and of stderr kept for each job."""

_BOOT = """\
import json, sys
boot = json.loads(sys.argv[1]); sys.path[:] = boot["path"]; sys.argv[:] = [""]
from cloud import _local_door, _local_runner
_local_door.enter(boot["door"], boot["number"], boot["simulator"])
_local_runner.main(boot["fd"], boot["stacks"])
"""

_decode = msgspec.msgpack.Decoder(Ended).decode


class LocalProcess:
    """A runner process. ``job`` is what it runs; ``ready`` turns true with its first word."""

    def __init__(self, number: int, door: str, simulator: bool) -> None:
        self.number, self.ready = number, False
        self.job: LocalJob | None = None
        self.waits = 0  # waits for other jobs that its job is in now
        self.deadline: float | None = None  # monotonic second at which its job has run too long
        self._known: dict[str, None] = {}  # digests of the functions it has, oldest first, as it keeps them itself
        self._inbox = bytearray()
        self._out, self._err, self._stacks = _output(), _output(), _output()
        self.link, theirs = socket.socketpair()
        self._path = _path()
        boot = {
            "path": self._path,
            "door": door,
            "number": number,
            "simulator": simulator,
            "fd": theirs.fileno(),
            "stacks": self._stacks.fileno(),
        }
        with theirs:
            self.popen = subprocess.Popen(
                [sys.executable, "-c", _BOOT, json.dumps(boot)],
                stdin=subprocess.DEVNULL,
                stdout=self._out,
                stderr=self._err,
                pass_fds=(theirs.fileno(), self._stacks.fileno()),
                start_new_session=True,
            )
        # A process that the job leaves behind may hold the socket open: the runner's own end is seen by its pidfd.
        self.pidfd = os.pidfd_open(self.popen.pid) if hasattr(os, "pidfd_open") else None

    def start(self, job: LocalJob) -> None:
        """Send it a job; OSError when it is gone."""
        order = job.submission.order
        digest = order.function.digest
        code = b"" if digest in self._known else order.function.data
        if code:
            while len(self._known) >= _local_runner.FUNCTIONS:
                del self._known[next(iter(self._known))]
            self._known[digest] = None
        self.job = job
        minutes = order.options.max_runtime_ms
        self.deadline = time.monotonic() + minutes / 1000 if minutes else None
        path = _path()
        task = Task(
            job.jid,
            len(job.attempts),
            digest,
            order.name,
            code,
            job.args,
            order.env_values,
            _folder(),
            path if path != self._path else [],
            order.options.profile,
        )
        self._path = path
        _local_runner.send(self.link, task)

    def read(self) -> list[Ended]:
        """What it has said since; at its end, all that was left to read."""
        while True:
            try:
                data = self.link.recv(1 << 20, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                break
            self._inbox += data
        return self._frames()

    def _frames(self) -> list[Ended]:
        found, at = [], 0
        while len(self._inbox) - at >= 8:
            (size,) = struct.unpack_from("<Q", self._inbox, at)
            if len(self._inbox) - at - 8 < size:
                break
            found.append(_decode(memoryview(self._inbox)[at + 8 : at + 8 + size]))
            at += 8 + size
        del self._inbox[:at]
        return found

    def gone(self) -> bool:
        """True once the process has ended (never waits)."""
        return self.popen.poll() is not None

    def output(self, clear: bool) -> tuple[bytes, bytes]:
        """The last of stdout and stderr of its job; ``clear`` empties both for the next one."""
        return _tail(self._out, clear), _tail(self._err, clear)

    def died(self, n: int) -> Outcome:
        """The outcome of a job whose process ended under it, with the evidence."""
        assert self.job is not None
        code = self.popen.wait()
        stacks = _tail(self._stacks, clear=False).decode(errors="replace")
        if code >= 0:
            failure = Failure(
                cause="exit",
                message=f"the process ended with exit code {code} before the job returned",
                exit_code=code,
                advice="do not call os._exit in a job; return instead",
            )
        else:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
            failure = Failure(
                cause="signal",
                message=f"the process was ended by {name} before the job returned",
                signal=name,
                stacks=stacks,
                advice=_advice(-code),
            )
        return Outcome(self.job.jid, n, b"", Cause[failure.cause], 0, failure=failure)

    def close(self) -> None:
        """End it at once, with every process of its session group that is left."""
        with contextlib.suppress(ProcessLookupError):  # it and its children are gone already
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        self.link.close()
        for file in (self._out, self._err, self._stacks):
            file.close()
        if self.pidfd is not None:
            os.close(self.pidfd)


def _advice(number: int) -> str:
    if number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT):
        return "compiled code crashed: 'stacks' tells which Python line called it"
    return "something outside the job sent this signal; for SIGKILL that may be the kernel, out of memory"


def _path() -> list[str]:
    return [os.fspath(entry) for entry in sys.path]


def _folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "/"


def _output() -> IO[bytes]:
    import fcntl

    file = tempfile.TemporaryFile(prefix="picloud-")  # noqa: SIM115  closed with the process
    fcntl.fcntl(file, fcntl.F_SETFL, fcntl.fcntl(file, fcntl.F_GETFL) | os.O_APPEND)
    return file


def _tail(file: IO[bytes], clear: bool) -> bytes:
    fd = file.fileno()
    size = os.fstat(fd).st_size
    found = os.pread(fd, OUTPUT_KEPT, max(0, size - OUTPUT_KEPT)) if size else b""
    if clear and size:
        os.ftruncate(fd, 0)
    return found
