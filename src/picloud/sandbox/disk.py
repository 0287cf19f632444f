"""How much disk a few folders take, with bounded work: a job may make a million files, and change them while we look.

Folders are walked by descriptors, each opened in its parent without following links, so that a job that swaps a folder for a
link leads nobody out of it. Nothing on another file system is entered. Standard library only, quick to import.
"""

from __future__ import annotations

import errno
import os
import time

TYPE_CHECKING = False  # as typing has it, whose import costs the holder more than all of this
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

ENTRIES = 50_000  # about 0.4 s of work
SECONDS = 0.5
DEPTH = 100  # folders in folders; each holds a descriptor while it is walked
_BLOCK = 512  # st_blocks counts these, whatever the file system's own
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # what was there is not, or is no folder any more


class Used:
    """What was counted.

    Attributes:
        bytes: allocated on disk; a file with several names counts once if all are in the folders.
        whole: False: there is more than was counted (a bound was met, or something could not be read).
    """

    __slots__ = ("bytes", "whole")

    def __init__(self, size: int, whole: bool) -> None:
        self.bytes, self.whole = size, whole

    def __repr__(self) -> str:
        return f"Used({self.bytes}, whole={self.whole})"


class Walk:
    """A count of folders that may take several looks: each goes on where the one before it met its bound.

    So the work of a look is bounded and yet no number of small files hides a big one for ever.
    """

    def __init__(self, folders: Iterable[str | os.PathLike[str]]) -> None:
        self._folders = [os.fspath(folder) for folder in folders]
        self._count: _Count | None = None
        self._last = Used(0, False)  # of the last walk that came to its end

    def look(self, entries: int = ENTRIES, seconds: float = SECONDS) -> Used:
        """Go on counting.

        Args:
            entries: most files and folders to look at.
            seconds: longest time to take, looked at every 256 entries.

        Returns:
            the count if it came to its end; else the larger of the last whole count and the present one, marked as not whole.
        """
        count = self._count = self._count or _Count(self._folders)
        if count.go(entries, time.monotonic() + seconds):
            self._count, self._last = None, Used(count.bytes, count.whole)
            return self._last
        return Used(max(count.bytes, self._last.bytes), False)

    def close(self) -> None:
        """Let go of the folders that are open amid a count."""
        if self._count:
            self._count.close()
            self._count = None


def used(folders: Iterable[str | os.PathLike[str]], entries: int = ENTRIES, seconds: float = SECONDS) -> Used:
    """The disk that some folders take, in one look; see :meth:`Walk.look`. A folder that is not there takes nothing."""
    walk = Walk(folders)
    try:
        return walk.look(entries, seconds)
    finally:
        walk.close()


class _Count:
    """One walk from its start to its end."""

    def __init__(self, folders: list[str]) -> None:
        self.bytes, self.whole = 0, True
        self._roots: set[tuple[int, int]] = set()  # the folders asked for: one may lie in another
        self._steps = self._all(folders)

    def go(self, entries: int, deadline: float) -> bool:
        """Count until a bound is met; True at the end."""
        for number, _ in enumerate(self._steps, 1):
            if number >= entries or (not number & 255 and time.monotonic() >= deadline):
                return False
        return True

    def close(self) -> None:
        self._steps.close()

    def _all(self, folders: list[str]) -> Generator[None]:
        """One step for each entry of each folder."""
        fds = [fd for folder in folders if (fd := self._enter(folder, None)) is not None]
        try:
            while fds:
                yield from self._folder(fds.pop(), 1)
        finally:
            for fd in fds:
                os.close(fd)

    def _enter(self, name: str, parent: int | None) -> int | None:
        """Open a folder and count itself; None if it is gone, a link, one asked for by itself, or on another file system."""
        try:
            fd = os.open(name, _OPEN, dir_fd=parent)
        except OSError as error:
            self.whole &= error.errno in _GONE
            return None
        entry = os.fstat(fd)
        key = entry.st_dev, entry.st_ino
        if key in self._roots or (parent is not None and entry.st_dev != os.fstat(parent).st_dev):
            os.close(fd)
            return None
        if parent is None:
            self._roots.add(key)
        self.bytes += entry.st_blocks * _BLOCK
        return fd

    def _folder(self, fd: int, depth: int) -> Generator[None]:
        """Count what is in an open folder, and close it."""
        try:
            with os.scandir(fd) as entries:
                for entry in entries:
                    yield
                    if not entry.is_dir(follow_symlinks=False):
                        self._file(entry)
                    elif depth >= DEPTH:
                        self.whole = False
                    elif (inner := self._enter(entry.name, fd)) is not None:
                        yield from self._folder(inner, depth + 1)
        except OSError:  # the folder went while it was read
            self.whole = False
        finally:
            os.close(fd)

    def _file(self, entry: os.DirEntry[str]) -> None:
        """Count a file's share: one with several names counts a part for each, so that none has to be remembered."""
        try:
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return
        except OSError:
            self.whole = False
            return
        self.bytes += found.st_blocks * _BLOCK // max(1, found.st_nlink)
