"""The ends of a thread's own single calls, told by the server without being asked.

A program that calls and waits, calls and waits, asks for each result by a request of its own, and that is a third of the
work of a small call. A thread that does so opens a stream without an end, and its further calls are told there. The stream
only shortens the way: where it is closed, crowded or silent, results are asked for as usual.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from picloud.wire.error import CloudException
from picloud.wire.link import SILENCE, TROUBLE, Link, Stream
from picloud.wire.message import Finished, Follow, encode

if TYPE_CHECKING:
    from cloud._backend import Patience

OFTEN = 3
"""Calls in a row whose result their thread asked for at once, before it opens a stream."""
MOST = 64
"""Calls on the stream whose ends nobody asked for: a program with more of them does not wait for its calls."""
STALE = 30.0
"""Seconds without use after which a stream is not trusted: something on its way may have dropped it without a word."""

_decode = msgspec.msgpack.Decoder(list[Finished]).decode


class Following:
    """The stream of one thread to one server."""

    def __init__(self, link: Link) -> None:
        self._link, self._name = link, os.urandom(16)
        self._stream: Stream | None = None
        self._frames: Iterator[bytes] = iter(())
        self._told: dict[int, Finished | None] = {}  # calls on the stream, with their ends where these have come
        self._newest = self._row = 0
        self._pid, self._used = os.getpid(), 0.0

    def name(self) -> bytes:
        """Of the stream, for the next call; b"" where there is none to be trusted."""
        if self._stream is None:
            return b""
        if self._pid != os.getpid() or len(self._told) >= MOST or time.monotonic() - self._used > STALE:
            self.close()
        return self._name if self._stream is not None else b""

    def submitted(self, jid: int, followed: bool) -> None:
        """A call was accepted; ``followed``: its end will be told here."""
        self._used = time.monotonic()
        if followed and self._stream is not None:
            self._told[jid] = None
        self._newest = jid

    def asked(self, jid: int) -> None:
        """The end of a call was asked for as usual, and has come."""
        self._row = self._row + 1 if jid == self._newest else 0
        if self._row >= OFTEN and self._stream is None:
            self._open()

    def _open(self) -> None:
        self._row = 0
        try:
            self._stream = self._link.stream("/v1/follow", encode(Follow(self._name)), patience=0.0)
            self._frames = self._stream.frames()
            next(self._frames, None)  # a first sign of life: from now on calls can name it
        except (CloudException, *TROUBLE):
            self.close()
        self._pid, self._used = os.getpid(), time.monotonic()

    def end(self, jid: int, patience: Patience) -> Finished | None:
        """The end of a call, waited for; None where it has to be asked for as usual."""
        if jid not in self._told or self._stream is None or self._pid != os.getpid():
            return None
        try:
            while (found := self._told[jid]) is None:
                left = patience()
                self._stream.patience(SILENCE if left is None else min(left, SILENCE))
                self._read()
        except TROUBLE:  # also where the caller's time is up: who asks as usual is told so
            self.close()
            return None
        except BaseException:
            self.close()  # interrupted, perhaps within a frame
            raise
        self._used = time.monotonic()
        del self._told[jid]
        return found

    def _read(self) -> None:
        frame = next(self._frames, None)
        if frame is None:
            raise ConnectionError("the server closed the stream")
        for one in _decode(frame) if frame else ():
            if one.jid in self._told:
                self._told[one.jid] = one

    def close(self) -> None:
        """Let go of the stream; what it has not told is asked for as usual."""
        stream, self._stream = self._stream, None
        self._told.clear()
        if stream is not None:
            stream.close()
