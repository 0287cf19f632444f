"""One open file, for all who have it open through this mount: the version that was opened, and what was written since.

What is written goes into a file without a name, at the place it has; the blocks that it touches are filled up with the bytes
that were there. Where all that was written stands behind the end, by programs that append, nothing is filled up, and nothing
that others append can be in the way.
"""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from picloud.mount.base import Base
from picloud.mount.blocks import BLOCK, Blocks
from picloud.mount.failure import refused
from picloud.mount.turn import Lock

AHEAD = 3
"""Blocks that are brought before they are asked for, where somebody reads on and on."""
LARGEST = 5 << 40


class Content:
    """The bytes of an open file."""

    def __init__(self, base: Base, blocks: Blocks, folder: Path, ahead: Callable[[str, int], None]) -> None:
        self.lock = Lock()
        self.opened = 0  # handles
        self.gone = False  # its name was removed here: it is not stored any more
        self.stale = False  # another version is there, and nothing was written here: load it before the next read
        self.blocks, self._folder, self._ahead = blocks, folder, ahead
        self._file: int | None = None
        self._last = -1
        self.begin(base)

    def begin(self, base: Base) -> None:
        """Be this version, with nothing written."""
        self.base, self.size, self.kept = base, base.size, base.size  # kept: so many bytes of the base are still there
        self.own: set[int] = set()  # blocks that are in the file
        self.dirty: set[int] = set()  # those of them that no blob has
        self.tail: int | None = None  # all from here on is in the file, all before in the base; own is empty then
        self.changed = False
        self.truncated = False
        self.modified = 0  # epoch ms of the first change; 0 = none
        self.stale = False
        self.failed = 0  # errno of an upload that failed: the next close tells it again
        self.close()

    def settle(self, base: Base) -> None:
        """What was written has become this version."""
        self.base, self.kept = base, base.size
        self.dirty.clear()
        self.changed, self.truncated, self.modified, self.tail, self.failed = False, False, 0, None, 0

    def close(self) -> None:
        """Forget the file of what was written."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    # -- reading ----------------------------------------------------------------------------------------------------

    def read(self, start: int, size: int) -> bytes:
        """Bytes of the file; fewer at its end."""
        with self.lock:
            end = min(start + size, self.size)
            if start >= end:
                return b""
            parts, base, kept = self._at_hand(start, end), self.base, self.kept
        found = self._joined(parts, base, kept)
        self._look_ahead(base, start, end)
        return found

    def piece(self, start: int, end: int) -> bytes:
        """Bytes for an upload, by any thread while another one holds the lock."""
        return self._joined(self._at_hand(start, end), self.base, self.kept)

    def _at_hand(self, start: int, end: int) -> list[tuple[int, int, bytes | None]]:
        """These bytes in stretches, those with them that are in the file."""
        file = self._file
        plan = self._plan(start, end)
        return [(a, b, os.pread(file, b - a, a) if own and file is not None else None) for a, b, own in plan]

    def _joined(self, parts: list[tuple[int, int, bytes | None]], base: Base, kept: int) -> bytes:
        found = []
        for a, b, part in parts:
            data = part if part is not None else base.read(self.blocks, a, min(b, kept))
            found.append(data if len(data) == b - a else data + bytes(b - a - len(data)))
        return found[0] if len(found) == 1 else b"".join(found)

    def _plan(self, start: int, end: int) -> list[tuple[int, int, bool]]:
        """The bytes in stretches that are in the file, or not."""
        if self.tail is not None:
            found = [(start, min(end, self.tail), False), (max(start, self.tail), end, True)]
            return [one for one in found if one[0] < one[1]]
        if not self.own:
            return [(start, end, False)]
        plan: list[tuple[int, int, bool]] = []
        while start < end:
            own, stop = start // BLOCK in self.own, min(end, (start // BLOCK + 1) * BLOCK)
            if plan and plan[-1][2] == own:
                plan[-1] = (plan[-1][0], stop, own)
            else:
                plan.append((start, stop, own))
            start = stop
        return plan

    def _look_ahead(self, base: Base, start: int, end: int) -> None:
        block = end // BLOCK
        if base.extents and block != self._last:
            goes_on = start // BLOCK in (self._last, 0)
            self._last = block
            if goes_on:
                for blob, index in base.ahead(end, (block + AHEAD) * BLOCK):
                    self._ahead(blob, index)

    # -- writing ----------------------------------------------------------------------------------------------------

    def write(self, start: int, data: memoryview, append: bool) -> int:
        """Write; with ``append`` behind whatever is there. How many bytes: all."""
        with self.lock:
            if append:
                start = self.size
                fresh = self.size == 0 and self.base.object is None
                if self.tail is None and not self.own and (fresh or not self.changed):
                    self.tail = start
            end = start + len(data)
            if end > LARGEST:
                raise refused(errno.EFBIG)
            file = self._open()
            if self.tail is not None and not append:
                self._join_tail()
            if self.tail is None:
                self._own(start, end)
            at = start
            while at < end:
                at += os.pwrite(file, data[at - start :], at)
            self.size = max(self.size, end)
            self.touch()
            return len(data)

    def truncate(self, size: int) -> None:
        """Cut the file, or lengthen it with zeros."""
        with self.lock:
            if size == self.size and not (size == 0 and self.base.object is None):
                return
            if size > LARGEST:
                raise refused(errno.EFBIG)
            if self.tail is not None:
                self._join_tail()
            self.kept = min(self.kept, size)
            if self._file is not None:
                os.ftruncate(self._file, size)
            last = (size + BLOCK - 1) // BLOCK
            self.own = {block for block in self.own if block < last}
            self.dirty = {block for block in self.dirty if block < last} | ({last - 1} & self.own)
            self.size = size
            self.truncated = self.truncated or size == 0
            self.touch()

    def touch(self) -> None:
        """It has changed."""
        self.changed = True
        self.modified = self.modified or time.time_ns() // 1_000_000

    def _open(self) -> int:
        if self._file is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                self._file = os.open(self._folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
            except OSError:
                self._file, name = tempfile.mkstemp(dir=self._folder)
                os.unlink(name)
        return self._file

    def _own(self, start: int, end: int) -> None:
        """Have the blocks of these bytes in the file, all but these bytes filled with what was there."""
        for block in range(start // BLOCK, (max(end, start + 1) - 1) // BLOCK + 1):
            if block not in self.own:
                low, high = block * BLOCK, min((block + 1) * BLOCK, self.kept)
                if low < high and not (start <= low and end >= high):
                    self._fill(low, high)
                self.own.add(block)
            self.dirty.add(block)

    def _fill(self, low: int, high: int) -> None:
        data, file = memoryview(self.base.read(self.blocks, low, high)), self._open()
        at = 0
        while at < len(data):
            at += os.pwrite(file, data[at:], low + at)

    def _join_tail(self) -> None:
        """From appended bytes to blocks."""
        start, self.tail = self.tail or 0, None
        if start % BLOCK and start // BLOCK * BLOCK < self.kept:
            self._fill(start // BLOCK * BLOCK, min(start, self.kept))
        blocks = set(range(start // BLOCK, (self.size + BLOCK - 1) // BLOCK))
        self.own |= blocks
        self.dirty |= blocks
