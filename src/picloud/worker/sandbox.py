"""What a worker asks of a sandbox: a process with limits, in a place of its own, that can be ended as a whole.

One kind a file: ``plain`` is a process group without isolation. A kind is chosen once, at the worker's start.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct


class Limits(Struct, frozen=True):
    """What the processes of one slot may use."""

    memory: int  # bytes of RAM; 0 = no limit
    cores: int


class Process(Protocol):
    """The first process in a sandbox, with everything that it started."""

    pid: int
    pidfd: int

    def signal(self, number: int) -> None:
        """Send a signal to the first process; nothing happens if it has ended."""

    def members(self) -> list[int]:
        """The pids of all that live in the sandbox, the first process included."""

    def everything(self) -> set[int]:
        """The same, with those that hide."""

    def wait(self) -> int:
        """The exit status of the first process, negative for a signal; blocks until it ends."""

    def end(self) -> list[int]:
        """Kill everything in the sandbox; returns the pids besides the first process that were still alive."""


class Sandbox(Protocol):
    """The place of one slot."""

    folder: Path  # as the worker sees it

    def start(self, argv: Sequence[str], env: dict[str, str], fds: Sequence[int], outputs: tuple[int, int]) -> Process:
        """Start the first process.

        Args:
            argv: program and arguments.
            env: its whole environment.
            fds: descriptors that it inherits under the same numbers.
            outputs: descriptors for its stdout and stderr.
        """
