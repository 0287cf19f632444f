"""Who is in a running job besides the job: programs that its owner started by ssh."""

from __future__ import annotations

import signal
import threading

from picloud.sandbox.base import Guest


class Guests:
    """The programs of guests in one job; used by their threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._over = False
        self._programs: dict[int, Guest] = {}

    def add(self, guest: Guest) -> None:
        """A guest has come."""
        with self._lock:
            self._programs[id(guest)] = guest
            if self._over:
                _end(guest)

    def remove(self, guest: Guest) -> None:
        """A guest's program is let go of."""
        with self._lock:
            self._programs.pop(id(guest), None)

    def end(self) -> None:
        """The job is over: end their programs."""
        with self._lock:
            self._over = True
            for guest in self._programs.values():
                _end(guest)


def _end(guest: Guest) -> None:
    guest.program.signal(signal.SIGHUP)
    guest.program.signal(signal.SIGKILL)
