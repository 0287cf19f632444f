"""Files that a job could have made, or put something else in the place of: links, pipes, folders."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

HOLES = 64  # times the blocks of a file that its size may be: more is no data, and would be read for hours
SMALL = 1 << 20


def content(path: Path, most: int) -> bytes:
    """The first bytes of a regular file; nothing of whatever else stands there. Never waits, never follows a link."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(handle, most) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
    finally:
        os.close(handle)


def taken(path: Path, place: Path) -> Path | None:
    """Move a regular file to where no job can reach it; None if there is none. Looked at after the move, when it is ours."""
    try:
        seen = os.lstat(path)
        if not stat.S_ISREG(seen.st_mode) or seen.st_size > HOLES * 512 * seen.st_blocks + SMALL:
            return None
        path.replace(place)
        if stat.S_ISREG(os.lstat(place).st_mode):
            return place
    except OSError:
        return None
    with contextlib.suppress(OSError):
        place.rmdir() if place.is_dir() and not place.is_symlink() else place.unlink()
    return None
