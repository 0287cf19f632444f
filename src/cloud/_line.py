"""A line to the server for a thread that calls and waits, calls and waits.

By HTTP such a program makes two requests for each call, and these are half of the work of a small one. Over a line the call
is a message, and its end comes as another one, unasked. The line only shortens the way: where it is closed, crowded or
silent, calls and questions go by HTTP as ever, and a call that was sent twice is one call by its token.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import msgspec

from picloud.wire import frames
from picloud.wire.error import CloudException, Unavailable, from_dict
from picloud.wire.link import SILENCE, TROUBLE, Link
from picloud.wire.message import Finished, Submit, Submitted, Told, encode

if TYPE_CHECKING:
    from cloud._backend import Patience
    from picloud.wire.origin import Connection

OFTEN = 3
"""Calls in a row whose result their thread asked for before it made another, until it opens a line."""
MOST = 64
"""Ends on the line that nobody asked for: a program with more of them does not wait for its calls."""
STALE = 30.0
"""Seconds without use after which a line is not trusted: something on its way may have dropped it without a word."""

_decode = msgspec.msgpack.Decoder(Told).decode


class Line:
    """The line of one thread to one server, open or not."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._connection: Connection | None = None
        self._inbox = frames.Inbox()
        self._calls: dict[int, Finished | None] = {}  # those whose ends are told here, with the ends that have come
        self._answer: Submitted | CloudException | None = None  # to the newest submit
        self._newest = self._row = 0
        self._pid, self._used = os.getpid(), 0.0

    def submit(self, message: Submit) -> Submitted | None:
        """Send a call that brings no code; None where it has to go by HTTP.

        Raises:
            CloudException: the server refuses it.
        """
        if self._connection is None:
            return None
        if self._pid != os.getpid() or len(self._calls) >= MOST or time.monotonic() - self._used > STALE:
            self.close()
            return None
        try:
            self._connection.sock.settimeout(SILENCE)
            self._connection.sock.sendall(frames.framed(encode(message)))
            self._answer = None
            while self._answer is None:
                self._hear()
        except TROUBLE:
            self.close()
            return None
        except BaseException:
            self.close()  # interrupted: its answer would be taken for the next one's
            raise
        if isinstance(self._answer, CloudException):
            if isinstance(self._answer, Unavailable) and self._answer.retry:
                return None  # HTTP has the patience
            raise self._answer
        if self._answer.followed:
            self._calls.setdefault(self._answer.first, None)
        return self._answer

    def submitted(self, jid: int) -> None:
        """A call was accepted, here or by HTTP."""
        self._newest, self._used = jid, time.monotonic()

    def end(self, jid: int, patience: Patience) -> Finished | None:
        """The end of a call, waited for; None where it has to be asked for by HTTP."""
        if jid not in self._calls or self._connection is None or self._pid != os.getpid():
            return None
        try:
            while (found := self._calls[jid]) is None:
                left = patience()
                self._connection.sock.settimeout(SILENCE if left is None else min(max(left, 0.001), SILENCE))
                self._hear()
        except TROUBLE:  # also where the caller's time is up: who asks by HTTP is told so
            self.close()
            return None
        except BaseException:
            self.close()  # interrupted, perhaps within a frame
            raise
        self._used = time.monotonic()
        del self._calls[jid]
        return found

    def asked(self, jid: int) -> None:
        """The end of a call was asked for by HTTP, and has come."""
        self._row = self._row + 1 if jid == self._newest else 0
        if self._row >= OFTEN and self._connection is None:
            self._open()

    def _open(self) -> None:
        self._row, self._pid, self._used = 0, os.getpid(), time.monotonic()
        try:
            origin = self._link.origin
            self._connection = origin.open()
            self._inbox = frames.Inbox()
            self._inbox.take(frames.upgrade(self._connection.sock, origin.name, "/v1/line", self._link.headers))
        except (CloudException, *TROUBLE):
            self.close()

    def _hear(self) -> None:
        """Wait for the next messages, and keep what they tell."""
        assert self._connection is not None
        data = self._connection.sock.recv(frames.PIECE)
        if not data:
            raise ConnectionError("the server closed the line")
        for message in self._inbox.take(data):
            told = _decode(message)
            for one in told.finished:
                self._calls[one.jid] = one
            if told.error:
                self._answer = from_dict(json.loads(told.error))
            elif told.submitted is not None:
                self._answer = told.submitted
        if self._inbox.replies:
            self._connection.sock.sendall(self._inbox.replies)
            self._inbox.replies = b""

    def close(self) -> None:
        """Let go of the line; what was not told on it is asked for by HTTP."""
        connection, self._connection = self._connection, None
        self._calls.clear()
        if connection is not None:
            connection.sock.close()

    def __del__(self) -> None:
        self.close()  # the thread has ended
