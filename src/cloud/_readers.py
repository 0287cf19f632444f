"""A handler's job: it forks readers, and sees to those that die."""

from __future__ import annotations

import mmap
import os
import pickle
import select
import struct
import sys
import warnings
from typing import Any

import cloudpickle

from cloud import _errors, _queues
from cloud._reader import Handler, Reader, Spec
from picloud.wire.queue import End, Exchange, Hold, Unit

_MARK, _ASKED = struct.Struct("<QQ"), struct.Struct("<16s")
_SIZE = _MARK.size + _ASKED.size
LOOK = 500
"""Milliseconds after which readers are looked at even where none has spoken: a descendant may keep a dead one's pipe open."""
IDLE_DEATHS = 3
"""Readers may die so often in a row with no message in hand; then there is something wrong with the handler itself."""


class HandlerDied(RuntimeError):
    """The handler's process ended before any message was in its hands."""


def run(handler: Any, spec: Spec) -> None:
    """The function of a handler's jobs: read until nothing more comes.

    Raises:
        BaseException: the first exception of the handler that nothing was provided for; all messages were handled before.
        HandlerDied: it cannot even begin.
    """
    marks = mmap.mmap(-1, _SIZE * spec.readers)
    known = Handler(handler)
    readers = [_Process(at, known, spec, marks) for at in range(spec.readers)]
    first: BaseException | None = None
    idle_deaths = 0
    while readers:
        _wait(readers)
        for one in list(readers):
            first = first or one.heard()
            status = one.ended()
            if status is None:
                continue
            readers.remove(one)
            if status:
                had = one.bereave(status)
                idle_deaths = 0 if had else idle_deaths + 1
                if idle_deaths >= IDLE_DEATHS:
                    _end(readers)
                    raise first or HandlerDied(
                        f"its readers ended {idle_deaths} times without a message in hand, the last {_said(status)}"
                    )
                readers.append(_Process(one.at, known, spec, marks))
    if first is not None:
        raise first


def _wait(readers: list[_Process]) -> None:
    poll = select.poll()
    for one in readers:
        poll.register(one.pipe, select.POLLIN)
    poll.poll(LOOK)


def _end(readers: list[_Process]) -> None:
    for one in readers:
        one.kill()


def _said(status: int) -> str:
    return f"by signal {-status}" if status < 0 else f"with status {status}"


class _Process:
    """A reader in a process of its own."""

    def __init__(self, at: int, handler: Handler, spec: Spec, marks: mmap.mmap) -> None:
        self.at, self._spec, self._marks = at, spec, marks
        self._data = b""
        self._told = False
        marks[at * _SIZE : (at + 1) * _SIZE] = bytes(_SIZE)
        self.pipe, sink = os.pipe()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: these hold no lock of ours
            self.pid = os.fork()
        if not self.pid:
            os.close(self.pipe)
            self._read(handler, sink)
        os.close(sink)

    def _read(self, handler: Handler, sink: int) -> None:
        """The child's whole life."""
        status = 1
        try:
            Reader(handler, self._spec, self._mark, self._asks, _Once(sink)).run()
            status = 0
        except BaseException as error:  # noqa: BLE001 the parent is told
            _write(sink, error)
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(status)

    def _mark(self, batch: int, message: int) -> None:
        _MARK.pack_into(self._marks, self.at * _SIZE, batch, message)

    def _asks(self, token: bytes) -> None:
        _ASKED.pack_into(self._marks, self.at * _SIZE + _MARK.size, token)

    def heard(self) -> BaseException | None:
        """The first exception that it told of, once."""
        while select.select([self.pipe], [], [], 0)[0]:
            piece = os.read(self.pipe, 1 << 16)
            if not piece:
                break
            self._data += piece
        size = int.from_bytes(self._data[:8], "little")
        if self._told or len(self._data) < 8 + size or not size:
            return None
        self._told = True
        found: BaseException = pickle.loads(self._data[8 : 8 + size])
        return found

    def ended(self) -> int | None:
        """Its exit status, below zero for a signal; None while it lives."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return None
        os.close(self.pipe)
        return os.waitstatus_to_exitcode(status)

    def bereave(self, status: int) -> bool:
        """Give back what it held; whether a message was in its hands when it died."""
        batch, message = _MARK.unpack_from(self._marks, self.at * _SIZE)
        (token,) = _ASKED.unpack_from(self._marks, self.at * _SIZE + _MARK.size)
        print(f"a reader ended {_said(status)}" + (f", with message {message} in hand" if message else ""), file=sys.stderr)
        units = [Unit(message, batch, int(End.killed))] if message else []
        units += [Unit(0, batch, int(End.back))] if batch else []
        asked = token if any(token) else b""
        if units or asked:  # the answer to what it asked for last may have come, or may come yet
            _queues.exchange(Exchange(_queues.token(), self._spec.queue, units, hold=int(Hold.job), abandoned=asked))
        return bool(message)

    def kill(self) -> None:
        """End it; its messages come back with the job."""
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self.pipe)


class _Once:
    """Tells the parent of the first exception that it is called with."""

    def __init__(self, sink: int) -> None:
        self._sink, self._told = sink, False

    def __call__(self, error: BaseException) -> None:
        if not self._told:
            self._told = True
            _write(self._sink, error)


def _write(sink: int, error: BaseException) -> None:
    """Tell the parent of an exception."""
    data = cloudpickle.dumps(_errors.sent(error), protocol=5)
    with os.fdopen(os.dup(sink), "wb") as file:
        file.write(len(data).to_bytes(8, "little") + data)
