"""One open file, for all who have it open through this mount: the version that was opened, and what was written since.

What is written goes into a file without a name, at the place it has; the blocks that it touches are filled up with the bytes
that were there. Where all that was written stands behind the end, by programs that append, nothing is filled up, and nothing
that others append can be in the way.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from picloud.mount.base import Base
from picloud.mount.blocks import BLOCK, Blocks
from picloud.mount.failure import refused
from picloud.mount.scratch import Chunk, Scratch
from picloud.mount.turn import Lock
from picloud.wire.object import MTIME, Extent

RUN = 4
"""Blocks beside each other that become one blob."""
AHEAD = 3
"""Blocks that are brought before they are asked for, where somebody reads on and on."""
LARGEST = 5 << 40
Early = Future[Extent]
"""A blob on its way, before anybody asked for it."""


class Content:
    """The bytes of an open file."""

    def __init__(
        self, base: Base, blocks: Blocks, folder: Path, ahead: Callable[[str, int], None], early: Callable[[list[Chunk]], Early]
    ) -> None:
        self.lock = Lock()
        self.opened = 0  # handles
        self.gone = False  # its name was removed here: it is not stored any more
        self.stale = False  # another version is there, and nothing was written here: load it before the next read
        self.blocks, self._ahead, self._early = blocks, ahead, early
        self._scratch = Scratch(folder)
        self._last = -1
        self.begin(base)

    def begin(self, base: Base) -> None:
        """Be this version, with nothing written."""
        self.base, self.size, self.kept = base, base.size, base.size  # kept: so many bytes of the base are still there
        self.own: set[int] = set()  # blocks that are in the file
        self.dirty: set[int] = set()  # those of them that no blob has
        self.early: dict[int, Early] = {}  # runs of blocks that are not changed since they went off, by their number
        self._since = 0  # the first run that these writes wrote whole
        self._went_on = 0  # where the last write ended, as far as one followed the other
        self.tail: int | None = None  # all from here on is in the file, all before in the base; own is empty then
        self.changed = False
        self.truncated = False
        self.modified = 0  # epoch ns of the first change, of appending the last; 0 = none
        self.marks: dict[str, str] = {}  # headers to be set by the put that comes
        self.stale = False
        self.failed = 0  # errno of an upload that failed: the next close tells it again
        self.close()

    def settle(self, base: Base) -> None:
        """What was written has become this version."""
        self.base, self.kept = base, base.size
        self.dirty.clear()
        self.early.clear()
        self.changed, self.truncated, self.modified, self.tail, self.failed = False, False, 0, None, 0
        self.marks = {}

    def close(self) -> None:
        """Forget what was written."""
        self._scratch.close()

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
        """These bytes in stretches, those with them that were written here."""
        return [(a, b, self._scratch.read(a, b) if own else None) for a, b, own in self._plan(start, end)]

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
            if self.tail is not None and not append:
                self._join_tail()
            if self.tail is None:
                self._own(start, end)
            self._scratch.write(start, data)
            self.size = max(self.size, end)
            self.touch()
            if self.tail is None:
                self._go_on(start, end)
            if append:  # past the kernel's pages: it takes those that it has for true as long as the time is
                self.modified = time.time_ns()
            return len(data)

    def _go_on(self, start: int, end: int) -> None:
        """Where somebody writes on and on, a run of blocks is sent when the write has passed it."""
        run, before = end // (RUN * BLOCK), start // (RUN * BLOCK)
        if start != self._went_on:
            self._since = (start + RUN * BLOCK - 1) // (RUN * BLOCK)  # the first run that was written whole
        self._went_on = end
        for number in range(max(before, self._since), run):
            chunks = [self._scratch.freeze(block) for block in range(number * RUN, (number + 1) * RUN)]
            if all(chunks):
                self.early[number] = self._early([chunk for chunk in chunks if chunk is not None])

    def adopt(self, start: int, blob: str, data: bytes) -> None:
        """The bytes from ``start`` on have become a blob: who writes is often read on the same host."""
        for at in range(0, len(data), BLOCK):
            block = (start + at) // BLOCK
            chunk = self._scratch.freeze(block) if start % BLOCK == 0 and block in self.own else None
            self.blocks.adopt(blob, at // BLOCK, memoryview(data)[at : at + BLOCK], chunk)

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
            self._scratch.truncate(size)
            last = (size + BLOCK - 1) // BLOCK
            self.own = {block for block in self.own if block < last}
            self.dirty = {block for block in self.dirty if block < last} | ({last - 1} & self.own)
            self.early = {run: sent for run, sent in self.early.items() if (run + 1) * RUN * BLOCK <= size}
            self.size = size
            self.truncated = self.truncated or size == 0
            self.touch()

    def touch(self) -> None:
        """It has changed."""
        self.changed = True
        if not self.modified or MTIME in self.marks:
            self.marks.pop(MTIME, None)
            self.modified = time.time_ns()

    def _own(self, start: int, end: int) -> None:
        """Have the blocks of these bytes in the file, all but these bytes filled with what was there."""
        for block in range(start // BLOCK, (max(end, start + 1) - 1) // BLOCK + 1):
            self.early.pop(block // RUN, None)
            if block not in self.own:
                low, high = block * BLOCK, min((block + 1) * BLOCK, self.kept)
                if low < high and not (start <= low and end >= high):
                    self._fill(low, high)
                self.own.add(block)
            self.dirty.add(block)

    def _fill(self, low: int, high: int) -> None:
        self._scratch.write(low, memoryview(self.base.read(self.blocks, low, high)))

    def _join_tail(self) -> None:
        """From appended bytes to blocks."""
        start, self.tail = self.tail or 0, None
        if start % BLOCK and start // BLOCK * BLOCK < self.kept:
            self._fill(start // BLOCK * BLOCK, min(start, self.kept))
        blocks = set(range(start // BLOCK, (self.size + BLOCK - 1) // BLOCK))
        self.own |= blocks
        self.dirty |= blocks
        self.early.clear()
