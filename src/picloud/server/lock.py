"""One server a home: an flock that the kernel lets go of whenever and however the server ends."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Self

from picloud.wire.error import SetupError

LOCK_FILE = "server.lock"


class Lock:
    """The right to serve a home, held until :meth:`release` or the end of the process."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def release(self) -> None:
        """Let another server in. The file stays: removing it would let two servers each lock one of the same name."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def lock(home: Path, patience: float = 0.3) -> Lock:
    """Take the right to serve ``home``, trying for ``patience`` seconds: whoever asks :func:`holder` has it for a moment.

    Raises:
        SetupError: another process has it; the text names its pid.
    """
    handle = os.open(home / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not _take(handle, patience):
        pid = _pid(handle)
        os.close(handle)
        raise SetupError(
            f"another server (pid {pid or 'unknown'}) serves {home}",
            hint="picloud status shows it, picloud down stops it",
            pid=pid,
        )
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return Lock(handle)


def holder(home: Path) -> int | None:
    """Pid of the process that serves ``home`` or is about to; None if none does."""
    try:
        handle = os.open(home / LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        return _pid(handle)
    finally:
        os.close(handle)


def _take(handle: int, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)


def _pid(handle: int) -> int | None:
    text = os.pread(handle, 32, 0).strip()
    return int(text) if text.isdigit() else None
