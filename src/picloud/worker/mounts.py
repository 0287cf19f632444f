"""The folders of a sandbox that show a bucket or volumes: mounted when it is made, served when somebody looks in.

A mount costs its sandbox a few milliseconds. The process that serves it (``python -m picloud.mount``) starts with the first
question of the kernel's, so a job that never looks into ``/bucket`` pays nothing for it. It speaks to control through the
slot's door, so with the right of the job in hand and no longer than that. One that dies takes its open files with it; the
folder is mounted anew. The device is open here too: what jobs ask in the moment after a death waits until the death has been
told to all that share the mount's page. So whoever has met the error finds the mount away, and can wait for it.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from picloud.sandbox import system
from picloud.sandbox.base import Mounting
from picloud.wire import barrier, fuse
from picloud.wire.error import SetupError
from picloud.worker.loop import Loop

log = logging.getLogger(__name__)

Tell = Callable[[str], None]
JOB = 1000  # uid and gid of jobs inside; to them volumes belong, the bucket to root and their group
MODULE = "picloud.mount"


class Shown(NamedTuple):
    """What one folder shows."""

    place: str  # inside
    volume: str = ""  # "" = the bucket


class Server(NamedTuple):
    """How the processes that serve mounts reach control, and where they keep blocks."""

    url: str
    door: Path
    cache: Path


class Unstored(NamedTuple):
    """Where the one who serves a mount tells what is not stored yet."""

    page: barrier.Page
    at: int


class Mounts:
    """All of one sandbox. ``tell``: writes a line into the Pi log of the job in hand; called on the loop."""

    def __init__(self, loop: Loop, sandbox: Mounting, server: Server, shown: Sequence[Shown], tell: Tell) -> None:
        self.places = [one.place for one in shown]
        self.page = barrier.Page.make(len(shown))
        self._mounts = [Mount(loop, sandbox, server, one, Unstored(self.page, at), tell) for at, one in enumerate(shown)]

    def attach(self) -> None:
        """Mount them. Blocks some milliseconds.

        Raises:
            SetupError: this machine cannot.
        """
        for one in self._mounts:
            one.attach()

    def end(self) -> None:
        """Let nothing be stored any more; before the next job can be in hand."""
        for one in self._mounts:
            one.end()

    def listen(self) -> None:
        """Take what was said for the Pi log; on the loop."""
        for one in self._mounts:
            one.listen()


class Mount:
    """One folder, from the first mount of it to the end of its sandbox. Its state changes on the loop alone."""

    def __init__(self, loop: Loop, sandbox: Mounting, server: Server, shown: Shown, unstored: Unstored, tell: Tell) -> None:
        self._loop, self._sandbox, self._server, self._shown, self._tell = loop, sandbox, server, shown, tell
        self._unstored = unstored
        self._device = self._handle = -1
        self._again = False  # it was mounted before
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = self._starting = False

    def attach(self) -> None:
        """Mount it, or mount it anew; from a thread.

        Raises:
            SetupError: this machine cannot, or the sandbox has ended.
        """
        device = self._sandbox.mount(self._shown.place, over=self._again)
        try:
            if not fuse.greet(device):
                raise SetupError(f"{self._shown.place} was unmounted at once", hint="see picloud doctor")
        except BaseException:
            os.close(device)
            raise
        self._loop.call(lambda: self._attached(device))

    def _attached(self, device: int) -> None:
        self._unstored.page.came(self._unstored.at)
        if self._ended:
            os.close(device)
            return
        self._device = device
        self._loop.watch(device, self._wanted)

    def _wanted(self) -> None:
        """Somebody looks in, or the sandbox has ended."""
        self._loop.forget(self._device)
        self._starting = True
        self._loop.work(self._start, self._started)

    def _start(self) -> subprocess.Popen[bytes]:
        device, server = self._device, self._server
        os.set_blocking(device, True)
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[device, self._unstored.page.file],
            cwd="/",
            start_new_session=True,
            preexec_fn=_die_with_us,
        )
        order = {"url": server.url, "folder": self._shown.place, "cache": str(server.cache), "door": str(server.door),
                 "volume": self._shown.volume, "uid": JOB if self._shown.volume else 0, "gid": JOB, "device": device,
                 "page": self._unstored.page.file, "at": self._unstored.at}  # fmt: skip
        assert child.stdin is not None
        try:
            with child.stdin:
                child.stdin.write(json.dumps(order).encode() + b"\n")
        except BrokenPipeError:
            log.error("the server of %s ended at once", self._shown.place)
        return child

    def _started(self, child: subprocess.Popen[bytes] | None, error: BaseException | None) -> None:
        self._starting = False
        if child is None:
            log.error("%s cannot be served: %r", self._shown.place, error)
            self._close()
            return
        self._process, self._handle = child, os.pidfd_open(child.pid)
        os.set_blocking(self._words(), False)
        if self._ended:
            self._let_go()
        else:
            self._loop.watch(self._handle, self._died)
            self._loop.watch(self._words(), self._heard)

    def _words(self) -> int:
        """The pipe on which it says what belongs into the Pi log."""
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def listen(self) -> None:
        """What it said for the Pi log; see :meth:`Mounts.listen`."""
        if self._process is not None:
            self._heard()

    def _heard(self) -> None:
        try:
            said = os.read(self._words(), 1 << 16)
        except BlockingIOError:
            return
        if not said:
            self._loop.forget(self._words())
        for line in said.decode(errors="replace").splitlines():
            self._tell(line)

    def _died(self) -> None:
        """It has ended: with its sandbox, or else the folder is mounted anew."""
        self._unstored.page.died(self._unstored.at)
        self._close()  # only now jobs meet the error
        status = self._bury()
        if not self._ended:
            log.warning("the server of %s ended with status %s", self._shown.place, status)
            self._again = True
            self._loop.work(self.attach, self._attempted)

    def _attempted(self, _: object, error: BaseException | None) -> None:
        if error is not None and not self._ended:
            log.info("%s is not mounted again: %s", self._shown.place, error)  # as where the sandbox has ended
            self._unstored.page.came(self._unstored.at)  # nobody need wait for it

    def end(self) -> None:
        """See :meth:`Mounts.end`; from any thread."""
        self._ended = True
        process = self._process
        if process is not None:
            process.send_signal(signal.SIGKILL)
        self._loop.call(self._let_go)

    def _let_go(self) -> None:
        if self._starting:
            return  # until it has
        if self._process is not None:
            self._process.kill()
            self._bury()
        self._close()

    def _close(self) -> None:
        """Keep the folder alive no longer."""
        if self._device >= 0:
            self._loop.forget(self._device)
            os.close(self._device)
            self._device = -1

    def _bury(self) -> int | None:
        process = self._process
        if process is None:
            return None
        for one in (self._handle, self._words()):
            self._loop.forget(one)
        os.close(self._handle)
        self._process = None
        with process:  # closes its pipe
            return process.wait()


def _die_with_us() -> None:
    system.prctl(system.PR_SET_PDEATHSIG, signal.SIGKILL)
