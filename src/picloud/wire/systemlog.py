"""The system log of the job that runs here: what the system would say of its programs, such as a signal that ended one.

Only the runner of a server's jobs keeps one; elsewhere what is noted goes nowhere.
"""

from __future__ import annotations

from collections.abc import Callable

_sinks: list[Callable[[str], None]] = []


def note(text: str) -> None:
    """Add a line."""
    for sink in _sinks:
        sink(text + "\n")


def keep(sink: Callable[[str], None]) -> None:
    """Have all that is noted from now on go there, and only there."""
    _sinks[:] = [sink]
