"""A program on a pseudo-terminal, as a person would use it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

DEADLINE = 30.0


class Terminal:
    """Starts a program; leaving the context ends it."""

    def __init__(
        self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, rows: int = 24, columns: int = 80, kind: str = "xterm"
    ) -> None:
        self._argv, self._env = argv, {**(env or os.environ), "TERM": kind}
        self._size = rows, columns
        self._said = ""
        self._status: int | None = None

    def __enter__(self) -> Terminal:
        self._pid, self._fd = pty.fork()
        if not self._pid:
            self._set(0, *self._size)
            os.execvpe(self._argv[0], list(self._argv), self._env)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._status is None:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._fd)

    def until(self, text: str) -> str:
        """Everything said up to this text; what follows is kept for the next time."""
        end = time.monotonic() + DEADLINE
        while text not in self._said:
            ready, _, _ = select.select([self._fd], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"{text!r} was not said, but: {self._said!r}"
            data = os.read(self._fd, 65_536)
            assert data
            self._said += data.decode(errors="replace")
        found, _, self._said = self._said.partition(text)
        return found + text

    def type(self, line: str) -> None:
        """Type a line."""
        os.write(self._fd, line.encode() + b"\n")

    def resize(self, rows: int, columns: int) -> None:
        """Give it another size, of which the program is told."""
        self._set(self._fd, rows, columns)

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        end = time.monotonic() + DEADLINE
        try:
            while True:
                ready, _, _ = select.select([self._fd], [], [], max(0.0, end - time.monotonic()))
                assert ready, "it did not end"
                os.read(self._fd, 65_536)
        except OSError:  # the far end is closed
            pass
        self._status = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return self._status

    @staticmethod
    def _set(fd: int, rows: int, columns: int) -> None:
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
