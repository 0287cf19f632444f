"""A job begins when its mounts are there, and ends after its files are: what it left open in them is stored before its result
is told."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import time
from collections.abc import Sequence

from picloud.wire.barrier import STORE, Page

_DEAD = (errno.ENOTCONN, errno.ECONNABORTED)
MOST = 10.0
"""Seconds that a job waits for a mount whose server has died; then it begins, and meets the error itself."""
_libc = ctypes.CDLL(None, use_errno=True)


class Mounts:
    """The folders of a sandbox that show a bucket or volumes.

    Args:
        places: where they are.
        page: descriptor of the memory that tells of them.
    """

    def __init__(self, places: Sequence[str], page: int) -> None:
        self._places = places
        self.signs = memoryview(b"")
        """Numbers; while all are 0 everything is stored, and every mount is there."""
        if places:
            self._page = Page(page)
            self.signs = self._page.numbers
            os.set_inheritable(page, False)

    def wait(self) -> None:
        """Wait until no mount is away. It is for some milliseconds after a death, too rare for more than a look now and then."""
        ends = time.monotonic() + MOST
        while any(map(self._page.away, range(len(self._places)))) and time.monotonic() < ends:
            time.sleep(0.002)

    def store(self) -> str:
        """Store what was written and is still open, here and in processes of the job's; what went wrong, "" = nothing."""
        return "; ".join(said for at in range(len(self._places)) if (said := self._store(at)))

    def _store(self, at: int) -> str:
        place = self._places[at]
        try:
            if self._page.lost(at):
                raise OSError(errno.ENOTCONN, place)
            if self._page.unstored(at):
                _store(place)
        except OSError as error:
            if error.errno not in _DEAD:
                return f"what was written to {place} is not stored: {os.strerror(error.errno or errno.EIO)}"
            if holds_dead():
                return f"what was written to {place} is lost where it was not closed: the process that serves it has died"
        return ""


def _store(place: str) -> None:
    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _libc.syncfs(folder):  # the kernel hands out what programs wrote into shared memory
            raise OSError(ctypes.get_errno(), place)
        while fcntl.ioctl(folder, STORE):
            continue
    finally:
        os.close(folder)


def holds_dead() -> bool:
    """Whether this process has files open whose mount has died."""
    for name in os.listdir("/proc/self/fd"):
        try:
            os.fstat(int(name))
        except OSError as error:
            if error.errno in _DEAD:
                return True
    return False
