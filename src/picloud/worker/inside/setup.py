"""The function of setup jobs: it keeps the machine alive until somebody ends it. Standard library only."""

from __future__ import annotations

import signal


def wait() -> None:
    """Do nothing until the job is killed."""
    while True:
        signal.pause()
