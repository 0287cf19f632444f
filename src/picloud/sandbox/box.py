"""A sandbox as its worker sees it: the shim's other end. Rungs A and B; what comes from the shim is hostile.

One thread reads what the shim says; callers wait for the answer to their own question. Sizes are bounded, descriptors are
counted, and a sandbox that does not answer in time is taken for dead.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import marshal
import os
import select
import signal
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from picloud.sandbox import diagnosis, system
from picloud.sandbox.base import Gauge, Guest, Program, Terminal
from picloud.wire.error import SetupError

LARGEST = 1 << 18  # bytes of one message
PATIENCE = 30.0  # seconds for an answer
WRONG = (LookupError, TypeError, ValueError, ArithmeticError, RecursionError)
"""What comes of taking a message for something that it is not."""
_NO_PROCESS = "the sandbox handed over something else than a process"
PORTS = 10_000  # that are looked at
_ROOT = {"USER": "root", "LOGNAME": "root"}  # home stays: what programs leave there is not saved with an environment
EARLY = 1000  # exits of programs that nobody asked for yet
GONE = 2.0  # seconds that a program's exit status may come after its end

Answer = tuple[dict[str, Any], list[int]]


class BoxProgram:
    """A program started by the shim."""

    def __init__(self, pidfd: int, status: Future[int]) -> None:
        self.pidfd, self._status = pidfd, status
        self.pid = _pid_of(pidfd)

    def signal(self, number: int) -> None:
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self.pidfd, number)

    def wait(self) -> int:
        select.select([self.pidfd], [], [])
        try:
            return self._status.result(GONE)
        except TimeoutError:  # the shim went with it
            return -int(signal.SIGKILL)

    def close(self) -> None:
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1


class Box:
    """See :class:`picloud.sandbox.base.Inside`.

    Args:
        line: our end of the shim's socket.
        ended: called once, from the reading thread, when the sandbox has ended.
        shell: the environment of a shell inside.
        gauge: figures of the whole.
    """

    def __init__(
        self, line: socket.socket, shell: Mapping[str, str], gauge: Callable[[], Gauge], ended: Callable[[], None] = lambda: None
    ) -> None:
        self._line, self._shell, self._gauge, self._ended = line, dict(shell), gauge, ended
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(PATIENCE), 0))
        self._numbers = itertools.count(1)
        self._asked: dict[int, Future[Answer]] = {}
        self._running: dict[int, Future[int]] = {}
        self._early: dict[int, int] = {}  # exits told before the answer that names the program was read
        self._ours: set[int] = set()
        self._diagnosis: socket.socket | None = None
        self._lock = threading.Lock()
        self.ready: Future[None] = Future()
        self.alive = True
        threading.Thread(target=self._read, name="sandbox", daemon=True).start()

    # -- Inside ---------------------------------------------------------------------------------------------------

    def start(
        self, argv: Sequence[str], env: Mapping[str, str], fds: Mapping[int, int], *, cwd: str = "", root: bool = False
    ) -> Program:
        asked = {"argv": list(argv), "env": dict(env), "cwd": cwd, "root": root, "fds": list(fds)}
        answer, handles = self._ask("start", asked, list(fds.values()), 1)
        return self._program(answer, handles)

    def open(self, argv: Sequence[str], env: Mapping[str, str], *, terminal: Terminal | None = None, root: bool = False) -> Guest:
        asked = {"argv": list(argv), "env": {**env, **(_ROOT if root else {})}, "cwd": "", "root": root}
        if terminal is not None:
            asked["terminal"] = [terminal.rows, terminal.columns]
            answer, handles = self._ask("open", asked, [], 2)
            return Guest(self._program(answer, handles), None, None, handles[1])
        answer, handles = self._ask("open", asked | {"terminal": None}, [], 3)
        program = self._program(answer, handles)
        stdio, stderr = (_stream(handle) for handle in handles[1:])
        return Guest(program, stdio, stderr)

    def connect(self, port: int) -> socket.socket:
        try:
            _, handles = self._ask("connect", {"port": port}, [], 1)
        except SetupError as error:
            raise ConnectionRefusedError(f"nothing listens on port {port} of the job: {error.parameter}") from error
        return _stream(handles[0])

    def listen(self, address: str, port: int) -> socket.socket:
        try:
            _, handles = self._ask("listen", {"address": address, "port": port}, [], 1)
        except SetupError as error:
            raise OSError(error.facts.get("errno") or 0, error.parameter) from error
        self._ours.add(port)
        return _stream(handles[0])

    def ports(self) -> list[int]:
        try:
            found = self._listening()
        except WRONG:
            return []
        return sorted(port for port in found - self._ours if 0 < port < 65_536)

    def _listening(self) -> set[int]:
        """Asked of the kernel where that answers, else of the shim."""
        try:
            if self._diagnosis is None:
                _, handles = self._ask("diagnosis", {}, [], 1)
                self._diagnosis = socket.socket(fileno=handles[0])
            return diagnosis.listening(self._diagnosis)
        except (OSError, SetupError):
            answer, _ = self._ask("ports", {}, [], 0)
            return {int(port) for _, port in answer["ports"][:PORTS]}

    def environment(self) -> dict[str, str]:
        return dict(self._shell)

    def gauge(self) -> Gauge:
        return self._gauge()

    def alone(self) -> bool:
        """Whether no program is left inside."""
        try:
            answer, _ = self._ask("alone", {}, [], 0)
        except SetupError:
            return False
        return bool(answer.get("alone"))

    def close(self) -> None:
        """Hang up; the shim ends, and everything inside with it."""
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)

    # -- the line -------------------------------------------------------------------------------------------------

    def _program(self, answer: dict[str, Any], handles: list[int]) -> BoxProgram:
        """The program behind the first descriptor of an answer; all are closed if it is none."""
        try:
            return BoxProgram(handles[0], self._status(int(answer["pid"])))
        except (SetupError, *WRONG) as error:
            for handle in handles:
                os.close(handle)
            raise SetupError(_NO_PROCESS, hint="run the job again") from error

    def _status(self, pid: int) -> Future[int]:
        with self._lock:
            status: Future[int] = Future()
            if pid in self._early:
                status.set_result(self._early.pop(pid))
            elif not self.alive:
                status.set_result(-int(signal.SIGKILL))
            else:
                self._running[pid] = status
            return status

    def _ask(self, act: str, asked: dict[str, Any], handles: list[int], wanted: int) -> Answer:
        asking, answer = next(self._numbers), Future[Answer]()
        self._asked[asking] = answer
        try:
            socket.send_fds(self._line, [marshal.dumps({"id": asking, "op": act, **asked})], handles)
            if not self.alive:
                raise OSError("the sandbox has ended")
            told, got = answer.result(PATIENCE)
        except (OSError, TimeoutError) as error:
            raise SetupError(f"the sandbox does not answer: {error or 'too late'}", hint="run the job again") from error
        finally:
            self._asked.pop(asking, None)
        if "error" in told or len(got) != wanted:
            for handle in got:
                os.close(handle)
            said = str(told.get("error", "not what was asked for"))[:500]
            number = told.get("errno")
            errno = number if isinstance(number, int) else None
            raise SetupError(said, hint="see the name and the rights of what was asked for", errno=errno)
        return told, got

    def _read(self) -> None:
        try:
            while True:
                data, handles = system.receive(self._line, LARGEST, 8)
                if not data:
                    break
                self._hear(data, handles)
        except (OSError, *WRONG):
            self.close()  # it broke the rules of the line
        with self._lock:
            self.alive = False
        error = OSError("the sandbox has ended")
        for answer in list(self._asked.values()):
            with contextlib.suppress(Exception):
                answer.set_exception(error)
        with self._lock:
            running, self._running = self._running, {}
        for status in running.values():
            status.set_result(-int(signal.SIGKILL))
        if not self.ready.done():
            self.ready.set_exception(error)
        self._line.close()
        if self._diagnosis is not None:
            self._diagnosis.close()
        self._ended()

    def _hear(self, data: bytes, handles: list[int]) -> None:
        """Act on a message; descriptors that nobody asked for are closed."""
        kept = False
        try:
            told = json.loads(data)
            if "exit" in told:
                self._exited(int(told["exit"]), max(-64, min(int(told["status"]), 255)))
            elif "ready" in told and not self.ready.done():
                self.ready.set_result(None)
            else:
                answer = self._asked.pop(int(told["id"]), None)
                if answer is not None:
                    answer.set_result((told, handles))
                    kept = True
        finally:
            for handle in () if kept else handles:
                os.close(handle)

    def _exited(self, pid: int, status: int) -> None:
        with self._lock:
            running = self._running.pop(pid, None)
            if running is None and len(self._early) < EARLY:
                self._early[pid] = status
        if running is not None:
            running.set_result(status)


def _pid_of(pidfd: int) -> int:
    """The pid behind a pidfd, as this process numbers it; -1 if it has ended."""
    with open(f"/proc/self/fdinfo/{pidfd}") as file:
        for line in file:
            if line.startswith("Pid:"):
                return int(line.split()[1])
    raise SetupError(_NO_PROCESS, hint="run the job again")


def _stream(handle: int) -> socket.socket:
    """A descriptor from a sandbox as the stream socket that it should be."""
    try:
        made = socket.socket(fileno=handle)
        if made.type == socket.SOCK_STREAM:
            return made
        made.close()
    except OSError:
        os.close(handle)
    raise SetupError("the sandbox handed over something else than a connection", hint="run the job again")
