"""Bytes between a channel and what it leads to, in one thread: nothing is read that the other side has no room for."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
from collections import deque
from collections.abc import Callable

from picloud.sandbox.base import Guest
from picloud.wire import channel
from picloud.wire.channel import Frame

ROOM = 1 << 20
"""Unsent bytes of one direction beyond which the source is not read."""
LAST_WORDS = 10.0
"""Seconds for the far end to close after the end."""
READ, WRITE = select.POLLIN | select.POLLHUP | select.POLLERR, select.POLLOUT
_GONE = (errno.EPIPE, errno.ECONNRESET, errno.EIO, errno.ENOTCONN, errno.EBADF)


class End:
    """One descriptor, never blocking, with the bytes that wait for it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.open = True  # it may still tell something
        self.shut: Callable[[], object] | None = None  # called once everything is written
        self._out: deque[memoryview] = deque()
        self._size = 0
        os.set_blocking(fd, False)

    @property
    def full(self) -> bool:
        return self._size > ROOM

    @property
    def clogged(self) -> bool:
        return bool(self._out)

    def read(self) -> bytes | None:
        """What has come; b"" at its end, None if nothing has."""
        try:
            data = os.read(self.fd, channel.PIECE)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno not in _GONE:
                raise
            data = b""
        self.open = self.open and bool(data)
        return data

    def write(self, data: bytes) -> None:
        """Write as much as is taken now, keep the rest."""
        self._out.append(memoryview(data))
        self._size += len(data)
        if len(self._out) == 1:
            self.flush()

    def flush(self) -> None:
        """Write what waits; what nobody will read any more is dropped."""
        try:
            while self._out:
                sent = os.write(self.fd, self._out[0])
                self._size -= sent
                if sent == len(self._out[0]):
                    self._out.popleft()
                else:
                    self._out[0] = self._out[0][sent:]
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno not in _GONE:
                raise
            self._out.clear()
            self._size = 0
        if self.shut is not None:
            shut, self.shut = self.shut, None
            shut()

    def finish(self, shut: Callable[[], object]) -> None:
        """Call ``shut`` once everything is written."""
        self.shut = shut
        if not self._out:
            self.flush()


def _events(end: End, reads: bool) -> int:
    return (READ if reads and end.open else 0) | (WRITE if end.clogged else 0)


def _wait(poller: select.poll, wanted: dict[int, int]) -> list[tuple[int, int]]:
    for fd, events in wanted.items():
        if events:
            poller.register(fd, events)
        else:
            with contextlib.suppress(KeyError):
                poller.unregister(fd)
    return poller.poll()


def relay(one: socket.socket, other: socket.socket, early: bytes = b"") -> None:
    """Pass bytes both ways until both have ended, or one broke. Closes neither. ``early``: what was read from ``one`` already."""
    ends = {one.fileno(): End(one.fileno()), other.fileno(): End(other.fileno())}
    socks = {one.fileno(): one, other.fileno(): other}
    opposite = {one.fileno(): other.fileno(), other.fileno(): one.fileno()}
    poller = select.poll()
    if early:
        ends[other.fileno()].write(early)
    while any(end.open or end.clogged for end in ends.values()):
        wanted = {fd: _events(end, not ends[opposite[fd]].full) for fd, end in ends.items()}
        for fd, events in _wait(poller, wanted):
            end, far = ends[fd], ends[opposite[fd]]
            if events & WRITE:
                end.flush()
            if not events & READ:
                continue
            data = end.read()
            if data:
                far.write(data)
            elif data is not None:
                if events & select.POLLERR:
                    return
                far.finish(lambda sock=socks[far.fd]: _shut(sock))  # type: ignore[misc]


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)


class Session:
    """A program's streams over a channel's frames, until the program has ended and all it said is sent.

    Args:
        line: the channel to the edge.
        guest: the program.
        resize: sets the size of its terminal.
    """

    def __init__(self, line: socket.socket, guest: Guest, resize: Callable[[int, int, int], None]) -> None:
        self._guest, self._resize = guest, resize
        self._line, self._socket = End(line.fileno()), line
        self._inbox = channel.Inbox()
        self._stdio = End(guest.stdio.fileno() if guest.stdio is not None else guest.terminal)
        self._outputs = {self._stdio.fd: (self._stdio, channel.DATA)}
        if guest.stderr is not None:
            self._outputs[guest.stderr.fileno()] = (End(guest.stderr.fileno()), channel.ERRORS)
        self._status: int | None = None
        self._left = False  # the far end has gone

    def run(self, early: bytes = b"") -> None:
        """Pump until the end; then the exit status is told. ``early``: what was read from the channel already."""
        poller = select.poll()
        self._take(early)
        while not self._left and (self._status is None or any(end.open for end, _ in self._outputs.values())):
            for fd, events in self._look(poller):
                if fd == self._line.fd:
                    self._hear(events)
                elif fd in self._outputs:
                    self._pass(fd, events)
                else:
                    self._status = self._guest.program.wait()
                    poller.unregister(fd)
        if self._left:
            self._guest.program.signal(signal.SIGHUP)
        elif self._status is not None:
            self._tell(channel.number(channel.EXIT, self._status))
            self._part()

    def _part(self) -> None:
        """Send what is left, and wait for the far end to close: it may still be writing, and would lose what it has not read."""
        self._socket.settimeout(None)
        self._line.flush()
        _shut(self._socket)
        self._socket.settimeout(LAST_WORDS)
        with contextlib.suppress(OSError):
            while self._socket.recv(channel.PIECE):
                continue

    def _look(self, poller: select.poll) -> list[tuple[int, int]]:
        wanted = {self._line.fd: _events(self._line, not self._stdio.full)}
        for fd, (end, _) in self._outputs.items():
            wanted[fd] = _events(end, not self._line.full)
        if self._status is None:
            wanted[self._guest.program.pidfd] = select.POLLIN
            return _wait(poller, wanted)
        return self._rest(poller, wanted)

    def _rest(self, poller: select.poll, wanted: dict[int, int]) -> list[tuple[int, int]]:
        """After the program's end: what lies in its streams counts; a process it left behind may hold them open for ever."""
        for end, kind in self._outputs.values():
            while end.open and not self._line.full and (data := end.read()):
                self._tell(channel.pack(kind, data))
            if end.open and not self._line.full:
                end.open = False  # empty, and nobody is left whose output it is
        return [] if not self._line.full else _wait(poller, {self._line.fd: wanted[self._line.fd] | WRITE})

    def _tell(self, frame: bytes) -> None:
        self._line.write(frame)

    def _pass(self, fd: int, events: int) -> None:
        end, kind = self._outputs[fd]
        if events & WRITE:
            end.flush()
        if events & READ and (data := end.read()) is not None:
            if data:
                self._tell(channel.pack(kind, data))
            elif kind == channel.DATA:
                self._tell(channel.pack(channel.EOF))

    def _hear(self, events: int) -> None:
        if events & WRITE:
            self._line.flush()
        if not events & READ:
            return
        data = self._line.read()
        if data == b"":
            self._left = True
        self._take(data or b"")

    def _take(self, data: bytes) -> None:
        for frame in self._inbox.take(data):
            self._act(frame)

    def _act(self, frame: Frame) -> None:
        match frame.kind:
            case channel.DATA:
                self._stdio.write(frame.data)
            case channel.EOF:
                self._end_input()
            case channel.RESIZE if self._guest.terminal >= 0:
                self._resize(self._guest.terminal, *channel.size_of(frame))
            case channel.SIGNAL:
                self._guest.program.signal(channel.number_of(frame))

    def _end_input(self) -> None:
        stdio = self._guest.stdio
        if stdio is not None:
            self._stdio.finish(lambda: _shut(stdio))
        else:
            self._stdio.write(b"\x04")
