"""What a job finds around it: empty home, /tmp and the like, fresh random numbers, its environment variables.

Each check is a trick to pay nothing for jobs that touched nothing: an empty folder has its modification time set to 0, so
anything made in it shows as another time.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from types import ModuleType

from picloud.sandbox import tree

PR_SET_CHILD_SUBREAPER = 36


class Folder:
    """A folder that is empty when a job starts, but for what is mounted in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.make()

    def make(self) -> None:
        """Make the folder, or empty it."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.mode = os.fstat(self.fd).st_mode & 0o7777
        self._empty()

    def clean(self) -> None:
        """Empty it if something was made or removed in it."""
        found = os.stat(self.fd)
        same = found.st_mode & 0o7777 == self.mode and found.st_mtime_ns == 0 if self.own else found.st_size == self.size
        if found.st_nlink and same:
            return
        if not found.st_nlink:  # the job removed the folder itself
            os.close(self.fd)
            self.make()
            return
        self._empty()

    def _empty(self) -> None:
        self.own = os.fstat(self.fd).st_uid == os.geteuid()
        if self.own:
            os.chmod(self.fd, 0o700 | self.mode)
        tree.empty(self.fd, os.geteuid())
        self.size = os.fstat(self.fd).st_size  # in memory (/dev/shm) it tells of entries
        if self.own:
            os.chmod(self.fd, self.mode)
            os.utime(self.fd, (0, 0))


def _adopt_orphans() -> None:
    """Orphans of a job come back to us, to be seen."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Variable:
    """An environment variable with another value for each job.

    ``setenv`` keeps every value it was ever given, and searches all of them each time. This one lies in memory of ours,
    which is written over; the user's changes of it end with the job.
    """

    WIDTH = 24  # characters of a value at most

    def __init__(self, name: str) -> None:
        self._name = name.encode()
        self._text = ctypes.create_string_buffer(self._name + b"=", len(name) + 2 + self.WIDTH)
        self._view = memoryview(self._text).cast("B")
        self._start = len(name) + 1
        self._putenv = ctypes.CDLL(None).putenv
        self._known: dict[bytes, bytes] = os.environ._data  # type: ignore[attr-defined]  # what os.environ shows
        self._value: bytes | None = None

    def set(self, value: bytes) -> None:
        """Give it a value for this process and those that it starts."""
        if self._known.get(self._name) is not self._value or self._value is None:
            self._putenv(self._text)
        self._view[self._start : self._start + len(value) + 1] = value + b"\0"
        self._known[self._name] = self._value = value


class Place:
    """Home, temporary folders, working directory, environment variables and random state of the jobs of one runner."""

    def __init__(self, home: Path, others: list[Path]) -> None:
        _adopt_orphans()
        self.home, self.others = Folder(home), [Folder(one) for one in others]
        self._random = int.from_bytes(os.urandom(16), "little")
        self._kept: dict[str, str | None] = {}
        self.jid = Variable("PICLOUD_JID")
        os.fchdir(self.home.fd)

    def clean(self) -> None:
        """After a job that ran long enough to touch a file."""
        self.home.clean()
        for folder in self.others:
            folder.clean()
        os.fchdir(self.home.fd)

    def reseed(self, modules: dict[str, ModuleType]) -> None:
        """Other random numbers for the next job, for the generators that are loaded."""
        self._random += 1
        if (found := modules.get("random")) is not None:
            found.seed(self._random)
        if (found := modules.get("numpy.random")) is not None:
            found.seed([self._random >> shift & 0xFFFFFFFF for shift in (0, 32, 64, 96)])

    def set_environment(self, values: dict[str, str]) -> None:
        """Put the variables of a submission in place and take those of the one before away."""
        for name, old in self._kept.items():
            if old is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = old
        self._kept = {name: os.environ.get(name) for name in values}
        os.environ.update(values)
