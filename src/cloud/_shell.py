"""The job behind ``picloud exec-shell``: it waits while somebody is in it. Standard library only."""

from __future__ import annotations

import os
import select
import threading

NOBODY = 600.0
"""Seconds to wait for the first session."""


class Shell:
    """A job that lasts as long as the ssh sessions in it, or until it is killed.

    Args:
        keep_alive: whether it goes on after the last session.
    """

    def __init__(self, keep_alive: bool = False) -> None:
        self.__qualname__ = self.__name__ = "exec-shell"
        self.keep_alive = keep_alive

    def __call__(self) -> None:
        if self.keep_alive:
            threading.Event().wait()
        wait(os.environ.get("PICLOUD_SESSIONS", "/run/picloud/sessions"), NOBODY)

    def __reduce__(self) -> tuple[type[Shell], tuple[bool]]:
        return Shell, (self.keep_alive,)


def wait(path: str, patience: float) -> bool:
    """Wait for the first session and for the end of the last.

    Args:
        path: of the pipe that each session holds open for writing; a byte says that it has come.
        patience: seconds for the first to come.

    Returns:
        Whether anybody came.
    """
    pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        poller = select.poll()
        poller.register(pipe, select.POLLIN)
        if not poller.poll(patience * 1000):
            return False
        while True:
            poller.poll()
            if not os.read(pipe, 4096):
                return True
    finally:
        os.close(pipe)
