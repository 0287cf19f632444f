"""What was written into an open file, on this machine's disk, in files without names: one for each block.

A block that has become a piece of a blob gets a name in the cache of pieces, and no byte is copied; it is frozen then, and a
later write makes another file of it. Above so many files that a process may have open, the blocks share one.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from picloud.mount.blocks import BLOCK

MOST = 400
"""Files of single blocks that all contents of this process have together."""


class Chunk:
    """The file of one block; it is closed when nobody refers to it any more."""

    count = 0

    def __init__(self, folder: Path) -> None:
        self.fd = _nameless(folder)
        self.frozen = False
        Chunk.count += 1

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            Chunk.count -= 1
            os.close(self.fd)

    def read(self) -> bytes:
        """All of a block that was written whole."""
        return os.pread(self.fd, BLOCK, 0)

    def name(self, path: str, size: int) -> None:
        """Give it a name, as the file of its first ``size`` bytes; it is not written any more.

        Raises:
            OSError: that cannot be done here.
        """
        self.frozen = True
        if os.fstat(self.fd).st_size != size:
            os.ftruncate(self.fd, size)
        # Python follows the link only where it is given a folder, which an absolute path does not use
        os.link(f"/proc/self/fd/{self.fd}", path, src_dir_fd=self.fd, follow_symlinks=True)


class Scratch:
    """The bytes by their place in the file; what was not written is zeros."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._chunks: dict[int, Chunk] = {}
        self._rest: int | None = None  # the file of the blocks that have none of their own
        self._resting: set[int] = set()

    def close(self) -> None:
        """Forget everything."""
        self._chunks.clear()
        self._resting.clear()
        if self._rest is not None:
            os.close(self._rest)
            self._rest = None

    def freeze(self, block: int) -> Chunk | None:
        """The file of a block, which is not written any more; None where it has none of its own."""
        chunk = self._chunks.get(block)
        if chunk is not None:
            chunk.frozen = True
        return chunk

    def write(self, start: int, data: memoryview) -> None:
        """Have these bytes at ``start``."""
        at = 0
        while at < len(data):
            block, inside = divmod(start + at, BLOCK)
            part = data[at : at + BLOCK - inside]
            file, shift = self._place(block, whole=len(part) == BLOCK)
            done = 0
            while done < len(part):
                done += os.pwrite(file, part[done:], shift + inside + done)
            at += len(part)

    def read(self, start: int, end: int) -> bytes:
        """The bytes from ``start`` up to ``end``."""
        parts = []
        while start < end:
            block, inside = divmod(start, BLOCK)
            size = min(BLOCK - inside, end - start)
            chunk = self._chunks.get(block)
            if chunk is not None:
                part = os.pread(chunk.fd, size, inside)
            else:
                part = os.pread(self._rest, size, start) if block in self._resting and self._rest is not None else b""
            parts.append(part if len(part) == size else part + bytes(size - len(part)))
            start += size
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def truncate(self, size: int) -> None:
        """What is behind ``size`` becomes zeros."""
        last, inside = divmod(size, BLOCK)
        for block in [block for block in self._chunks if block > last or (block == last and not inside)]:
            del self._chunks[block]
        self._resting = {block for block in self._resting if block < last or (block == last and inside)}
        if last in self._chunks:
            file, _ = self._place(last, whole=False)
            os.ftruncate(file, min(inside, os.fstat(file).st_size))
        if self._rest is not None:
            os.ftruncate(self._rest, min(size, os.fstat(self._rest).st_size))

    def _place(self, block: int, *, whole: bool) -> tuple[int, int]:
        """The file to write a block into, and where in it the block begins. ``whole``: all of it is about to be written."""
        chunk = self._chunks.get(block)
        if chunk is not None and not chunk.frozen:
            return chunk.fd, 0
        if chunk is None and (block in self._resting or Chunk.count >= MOST):
            self._resting.add(block)
            if self._rest is None:
                self._rest = _nameless(self._folder)
            return self._rest, block * BLOCK
        made = Chunk(self._folder)
        if chunk is not None and not whole:
            os.pwrite(made.fd, os.pread(chunk.fd, BLOCK, 0), 0)
        self._chunks[block] = made
        return made.fd, 0


def _nameless(folder: Path) -> int:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    file, name = tempfile.mkstemp(dir=folder)
    os.unlink(name)
    return file
