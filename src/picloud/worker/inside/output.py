"""What a job prints: stdout and stderr with end marks, and the records of ``logging``.

The worker reads the two pipes. So that it knows where one job's output ends, the runner writes a secret mark into a pipe
after each job that may have written something; jobs that wrote nothing cost nothing.
"""

from __future__ import annotations

import fcntl
import io
import logging
import os
import select
import struct
import sys
import termios
from collections.abc import Callable
from typing import Any

from picloud.worker import frame

SURE_AFTER_NS = 1_000_000
"""A job that ran longer gets a mark in any case: the worker may have read away what a library wrote."""

PIECE = 32_000
"""Bytes of one log record at most."""


class _Raw(io.FileIO):
    """A file descriptor that counts the writes of Python code."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd, "w", closefd=False)
        self.writes = 0

    def write(self, data: Any) -> int:
        self.writes += 1
        return super().write(data) or 0


class Stream:
    """One of the two pipes, as ``sys.<name>``."""

    def __init__(self, name: str, fd: int, mark: bytes) -> None:
        self.name, self.fd, self.mark = name, fd, mark
        self.private = os.dup(fd)  # the user may close or replace fd itself
        self.inode = os.fstat(self.private).st_ino
        self.open()

    def open(self) -> None:
        """Make the Python file anew (at the start, or because a job closed it)."""
        self.raw = _Raw(self.fd)
        self.file = io.TextIOWrapper(io.BufferedWriter(self.raw), "utf-8", "backslashreplace", line_buffering=True)
        self.seen = 0
        setattr(sys, self.name, self.file)
        setattr(sys, f"__{self.name}__", self.file)

    def quiet(self) -> bool:
        """Whether Python code wrote nothing since the last mark. Puts the file back where a job replaced it."""
        try:
            self.file.flush()
        except (ValueError, OSError):  # closed, or its descriptor is
            return False
        return self.raw.writes == self.seen

    def end(self, took_ns: int) -> bool:
        """Close the output of one job; True if a mark was written."""
        if not self.quiet():
            wrote = True
        else:
            wrote = took_ns > SURE_AFTER_NS or self._waiting() > 0
        if wrote:
            self._restore()
            self._write(self.mark)
            self.seen = self.raw.writes
        return wrote

    def _waiting(self) -> int:
        return int(struct.unpack("i", fcntl.ioctl(self.private, termios.FIONREAD, b"\0\0\0\0"))[0])

    def _restore(self) -> None:
        try:
            same = os.fstat(self.fd).st_ino == self.inode
        except OSError:
            same = False
        if not same:
            os.dup2(self.private, self.fd)
        if self.file.closed or self.file.buffer.closed or self.raw.closed:
            self.open()
        setattr(sys, self.name, self.file)

    def _write(self, data: bytes) -> None:
        while True:
            try:
                os.write(self.private, data)  # atomic: shorter than PIPE_BUF
                return
            except BlockingIOError:  # a job made the pipe non-blocking
                select.select([], [self.private], [])


class _Level(int):
    """A level that can be told from an equal one that the user set."""


_CAPTURED = _Level(logging.INFO)
"""The root logger's level until the user sets one. Records below WARNING are captured and, as without us, printed nowhere."""


def capture_logging(send: Callable[[bytes], Any]) -> None:
    """Send every log record of level INFO and up as TEXT, whatever handlers the user sets or does not set.

    A handler on the root logger would turn the user's own ``basicConfig`` into a no-op, so the records are taken on
    their way to the handlers.
    """
    head = frame.text_head.pack(frame.TEXT, 0)
    form = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    onward = logging.Logger.callHandlers

    def call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
        if record.levelno >= logging.INFO:
            try:
                send(head + (form.format(record) + "\n").encode(errors="backslashreplace")[:PIECE])
            except Exception:  # noqa: BLE001 - a record that cannot be formatted: logging's own way to tell
                logging.Handler().handleError(record)
        if record.levelno >= logging.WARNING or logging.root.level is not _CAPTURED:
            onward(self, record)

    logging.Logger.callHandlers = call_handlers  # type: ignore[method-assign]
    logging.root.setLevel(_CAPTURED)


def text_frames(stream: int, text: str) -> list[bytes]:
    """TEXT datagrams for a long text."""
    data = text.encode(errors="backslashreplace")
    head = frame.text_head.pack(frame.TEXT, stream)
    return [head + data[at : at + PIECE] for at in range(0, len(data), PIECE)]
