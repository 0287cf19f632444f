"""What jobs print, attributed to them and cut to size.

A runner ends the output of a job that wrote something by a secret mark in the pipe; what lies before the mark is that
job's. Of each stream the first ``head`` bytes go out whole and as they come; of what follows only the last ``tail``
bytes that wait are kept, and they go out less often, so a job that floods its output floods nobody else.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import termios
import time
from collections import deque

from picloud.wire.mask import Flow, Mask
from picloud.wire.message import LogChunk

PIECE = 1 << 16
FULL = 1 << 18
LIVE = 0.2  # seconds between two looks at running jobs' output
FLOOD = 2.0  # the same for streams that have passed their head
LAST = 2000  # bytes kept of the end of a stream for the death certificate


class Pipe:
    """The reading end of a runner's stdout or stderr."""

    def __init__(self, mark: bytes) -> None:
        self.fd, self.writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.fd, False)
        with contextlib.suppress(OSError):  # the kernel's allowance is used up: then 64 KB must do
            fcntl.fcntl(self.fd, fcntl.F_SETPIPE_SZ, FULL)
        self._mark, self._pending = mark, bytearray()

    def read(self) -> bool:
        """Take in what is there; False once the pipe has ended."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(64):
                data = os.read(self.fd, PIECE)
                if not data:
                    return False
                self._pending += data
                if len(data) < PIECE:
                    break
        return True

    @property
    def crowded(self) -> bool:
        """Whether a writer may soon have to wait."""
        return int(struct.unpack("i", fcntl.ioctl(self.fd, termios.FIONREAD, bytes(4)))[0]) > PIECE // 2

    @property
    def full(self) -> bool:
        """Whether so much has come that it should be given to the job in hand now."""
        return len(self._pending) > FULL

    def until_mark(self) -> bytes:
        """The output before the next mark, which is known to be in the pipe already."""
        searched = 0
        while True:
            at = self._pending.find(self._mark, searched)
            if at >= 0:
                found = bytes(self._pending[:at])
                del self._pending[: at + len(self._mark)]
                return found
            before = len(self._pending)
            searched = max(0, before - len(self._mark))
            self.read()
            if len(self._pending) == before:  # the runner lied, or a job closed the pipe under it
                return self.rest()

    def rest(self) -> bytes:
        """Everything that has come since the last mark and before the next, of which only the begin may have come yet."""
        end = self._pending.find(self._mark)
        if end < 0:
            keep = next((k for k in range(len(self._mark) - 1, 0, -1) if self._pending.endswith(self._mark[:k])), 0)
            end = len(self._pending) - keep
        found = bytes(self._pending[:end])
        del self._pending[:end]
        return found

    def started(self) -> None:
        """The runner has its own end now."""
        os.close(self.writer)
        self.writer = -1

    def close(self) -> None:
        """Close what is open."""
        os.close(self.fd)
        if self.writer >= 0:
            os.close(self.writer)


class Stream:
    """One stream of one job, cut to its first and last bytes. Pieces are (offset, bytes)."""

    def __init__(self, head: int, tail: int) -> None:
        self._head, self._tail = head, tail
        self.size = 0  # bytes that were written so far
        self.last = b""
        self._first: list[tuple[int, bytes]] = []
        self._later: deque[tuple[int, bytes]] = deque()
        self._later_size = 0

    def add(self, data: bytes) -> None:
        """Take in further output."""
        room = max(0, self._head - self.size)
        if room:
            self._first.append((self.size, data[:room]))
        at = self.size + min(room, len(data))
        for start in range(min(room, len(data)), len(data), PIECE):
            piece = data[start : start + PIECE]
            self._later.append((at, piece))
            self._later_size += len(piece)
            at += len(piece)
        while self._later and self._later_size - len(self._later[0][1]) >= self._tail:
            self._later_size -= len(self._later.popleft()[1])
        self.size += len(data)
        self.last = (self.last + data[-LAST:])[-LAST:]

    def take(self, flood: bool = True) -> list[tuple[int, bytes]]:
        """What has not been sent, in as few pieces as it goes; ``flood``: also what lies behind the head."""
        pieces, self._first = self._first, []
        if flood:
            pieces += self._later
            self._later.clear()
            self._later_size = 0
        return _merged(pieces)


def _merged(pieces: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    groups: list[tuple[int, list[bytes], int]] = []
    for offset, data in pieces:
        if groups and groups[-1][2] == offset and offset - groups[-1][0] < 4 * PIECE:
            start, parts, end = groups[-1]
            parts.append(data)
            groups[-1] = start, parts, end + len(data)
        else:
            groups.append((offset, [data], offset + len(data)))
    return [(start, b"".join(parts)) for start, parts, _ in groups]


class JobLog:
    """All streams of one attempt."""

    def __init__(self, jid: int, n: int, head: int, tail: int, mask: Mask | None = None) -> None:
        self.jid, self.n = jid, n
        self._mask, self._flows = mask, dict[str, Flow]()
        self._limits = head, tail
        self._streams: dict[str, Stream] = {}
        self._flooded = 0.0

    def add(self, stream: str, data: bytes) -> None:
        """Take in output of one stream."""
        if self._mask is not None:
            data = self._flows.setdefault(stream, self._mask.flow()).feed(data)
        if data:
            self._streams.setdefault(stream, Stream(*self._limits)).add(data)

    def tell(self, stream: str, text: str) -> None:
        """Add a line with the time before it."""
        self.add(stream, f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} {text}\n".encode())

    def hear(self, stream: str, data: bytes) -> None:
        """Add what a runner told by itself; its remarks get the time."""
        if stream not in ("pilog", "syslog"):
            self.add(stream, data)
            return
        if self._mask is not None:  # before a value of several lines becomes several
            data = self._mask.data(data)
        for line in data.decode(errors="replace").splitlines():
            self.tell(stream, line)

    def take(self, now: float | None = None) -> list[LogChunk]:
        """Chunks to be sent: at the time ``now`` (monotonic) of a running job, or None = all, it has ended."""
        flood = now is None or now - self._flooded >= FLOOD
        if flood and now is not None:
            self._flooded = now
        if now is None:
            self.end()
        return [
            LogChunk(self.jid, self.n, name, offset, data)
            for name, stream in self._streams.items()
            for offset, data in stream.take(flood)
        ]

    def end(self) -> None:
        """Nothing more will come: what a mask held back does now."""
        for stream, flow in self._flows.items():
            if rest := flow.end():
                self._streams.setdefault(stream, Stream(*self._limits)).add(rest)

    def last(self) -> str:
        """The last lines printed, stderr after stdout, for the death certificate; the job has ended."""
        self.end()
        parts = [self._streams[name].last for name in ("stdout", "stderr") if name in self._streams]
        return b"".join(parts).decode(errors="replace")
