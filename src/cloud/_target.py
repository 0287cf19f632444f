"""Where a download goes: a file that shows its old content or all of the new one, and a lock for those that want the same."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from typing import IO, Any

from picloud.wire.error import CloudTimeoutError

OPEN = ("/dev/", "/proc/")
"""Below these are names of what is open, and of devices."""
PAUSE = 0.05
"""Seconds between two looks at a lock that somebody holds."""


def path_for(file_path: Any, name: str) -> str:
    """The file that a download goes to.

    Args:
        file_path: of it; None = ``name`` in the current folder; a folder = ``name`` in it.

    Raises:
        TypeError: that is no path.
    """
    path = os.fspath(file_path) if file_path is not None else name
    if not isinstance(path, str):
        raise TypeError(f"a path is a str, not {type(path).__name__}")
    if not path or "\0" in path:
        raise ValueError("the path is empty or holds a NUL character")
    if os.path.isdir(path) or path.endswith(os.sep):
        path = os.path.join(path, name)
    absolute = os.path.abspath(path)
    # What a link leads to is replaced, not the link; but /dev/stdout stands for something that is open already.
    return absolute if absolute.startswith(OPEN) else os.path.realpath(path)


@contextlib.contextmanager
def replacing(path: str) -> Iterator[IO[bytes]]:
    """A file for the new content, which takes the place of ``path`` if the block ends well; folders are made.

    What is no regular file, as ``/dev/stdout`` or a pipe, is written to as it is.
    """
    mode = _mode(path)
    if path.startswith(OPEN) or (mode is not None and not stat.S_ISREG(mode)):
        with open(path, "ab", buffering=0) as direct:
            yield direct
        return
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    temporary = os.path.join(folder, f".picloud-{os.urandom(8).hex()}")
    try:
        with open(temporary, "xb", buffering=0) as file:
            yield file
            if mode is not None:
                os.chmod(file.fileno(), stat.S_IMODE(mode))
            os.fsync(file.fileno())  # else a power cut could leave the new name with no bytes
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _mode(path: str) -> int | None:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def exists(path: str) -> bool:
    """Whether the file is there."""
    return os.path.isfile(path)


def write_all(file: IO[bytes], data: bytes) -> None:
    """Write every byte: a raw file may take fewer at once."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


@contextlib.contextmanager
def locked(path: str, timeout: float | None) -> Iterator[None]:
    """Hold the lock of a file against other processes of this machine; a file beside it, gone when nobody wants it.

    Args:
        timeout: seconds to wait for it; None = as long as it takes.

    Raises:
        CloudTimeoutError: somebody else held it all the time.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    beside = os.path.join(os.path.dirname(path), f".{os.path.basename(path)[:200]}.picloud-lock")
    until = None if timeout is None else time.monotonic() + timeout
    while True:
        number = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _lock(number, path, until)
            if _is(number, beside):
                try:
                    yield
                finally:
                    os.unlink(beside)  # while we hold it: whoever waits for it sees that, and takes the next
                return
        finally:
            os.close(number)


def _lock(number: int, path: str, until: float | None) -> None:
    while True:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | (fcntl.LOCK_NB if until is not None else 0))
            return
        except BlockingIOError:
            if until is None or time.monotonic() >= until:
                raise CloudTimeoutError(
                    f"another process is still getting {path}", hint="wait longer, or see what it does"
                ) from None
            time.sleep(PAUSE)


def _is(number: int, path: str) -> bool:
    """Whether a name still leads to an open file."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return False
    mine = os.fstat(number)
    return (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)
