"""Whose turn it is to read the kernel's next request.

One thread reads a request, answers it and reads the next, so that short questions cost no change of thread: among sixteen that
wait for the kernel at once, each question wakes another one, and they queue for Python's lock [measured: 200 us instead of 60].
A thread that is about to wait for something else, the server or a file that another one stores, gives its turn away first.
"""

from __future__ import annotations

import threading
from types import TracebackType

_mine = threading.local()


class Turn:
    """The right to read, of one mount."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def take(self) -> None:
        """Wait for the turn, unless this thread has it."""
        if getattr(_mine, "turn", None) is None:
            self._lock.acquire()
            _mine.turn = self

    def give(self) -> None:
        """Let another thread read."""
        _mine.turn = None
        self._lock.release()


def waiting() -> None:
    """This thread is about to wait."""
    turn: Turn | None = getattr(_mine, "turn", None)
    if turn is not None:
        turn.give()


class Lock:
    """A lock for things that may take long; a thread may hold it several times."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            waiting()
            self._lock.acquire()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.release()
