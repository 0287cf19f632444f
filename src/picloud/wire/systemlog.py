"""The system log of the job that runs here: what the system would say of its programs, such as a signal that ended one.

Only the runner of a server's jobs keeps one; elsewhere what is noted goes nowhere.
"""

from __future__ import annotations

import signal
from collections.abc import Callable

FATAL = frozenset(
    {
        signal.SIGSEGV,
        signal.SIGBUS,
        signal.SIGABRT,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGSYS,
        signal.SIGTRAP,
        signal.SIGKILL,
        signal.SIGXCPU,
        signal.SIGXFSZ,
    }
)
"""Signals that end a program against its will."""
LONGEST = 500
"""Characters of a command line that are told."""

_sinks: list[Callable[[str], None]] = []


def keep(sink: Callable[[str], None]) -> None:
    """Have all that is noted from now on go there, and only there."""
    _sinks[:] = [sink]


def note(text: str) -> None:
    """Add a line."""
    for sink in _sinks:
        sink(text + "\n")


def ended(program: str, number: int, line: str, pid: int = 0) -> None:
    """Note that a signal has ended a program, if it is one that programs do not choose.

    Args:
        number: of the signal.
        line: the whole command line.
        pid: its process; 0 = not known.
    """
    if number in FATAL:
        who = f"{program}[{pid}]" if pid else program
        note(f"{who}: ended by {signal.Signals(number).name}: {line[:LONGEST]!r}")
