"""An object as an open file: read where one looks, fetched ahead where one reads on."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from typing import Any

from cloud import _download
from picloud.wire.bulk import PIECE
from picloud.wire.object import Content

FIRST, MOST = PIECE >> 2, 64 * PIECE
"""Bytes asked for at once: so many after a jump, twice as many each time that one reads on."""


class _Raw(io.RawIOBase):
    """The bytes of one version of an object, from ``start`` up to ``end``."""

    def __init__(self, found: Content, start: int, end: int) -> None:
        self._found, self._start, self._end = found, start, end
        self._at = start
        self._stream: Iterator[bytes] = iter(())
        self._until, self._window = start, FIRST  # how far the stream goes, how long the next will be
        self._piece = memoryview(b"")
        whole = found.object.md5 and (start, end) == (0, found.object.size)
        self._digest = hashlib.md5(usedforsecurity=False) if whole else None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        if not len(self._piece):
            self._piece = memoryview(self._next())
        count = min(len(view), len(self._piece))
        view[:count] = self._piece[:count]
        self._piece = self._piece[count:]
        self._at += count
        return count

    def readall(self) -> bytes:
        parts = [bytes(self._piece)]
        self._at += len(self._piece)
        self._piece = memoryview(b"")
        self._window = max(self._window, self._end - self._until)
        while part := self._next():
            self._at += len(part)
            parts.append(part)
        return b"".join(parts)

    def _next(self) -> bytes:
        """The bytes that follow those that were fetched; b"" at the end."""
        piece = next(self._stream, b"")
        if not piece and self._until < self._end:
            until = min(self._end, self._until + self._window)
            self._stream = _download.pieces(self._found, self._until, until)
            self._until, self._window = until, min(2 * self._window, MOST)
            piece = next(self._stream, b"")
        if self._digest is not None:
            self._digest.update(piece)
            if not piece:
                _download.compare(self._found, self._digest.hexdigest())
                self._digest = None
        return piece

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: self._start, io.SEEK_CUR: self._at, io.SEEK_END: self._end}[whence]
        target = base + offset
        if target < self._start:
            raise ValueError(f"a position before the beginning: {target - self._start}")
        if 0 <= (ahead := target - self._at) <= len(self._piece):
            self._piece = self._piece[ahead:]
        else:
            self._leave()
            self._until, self._window = min(target, self._end), FIRST
            self._digest = None  # not all bytes pass any more
        self._at = target
        return target - self._start

    def tell(self) -> int:
        return self._at - self._start

    def _leave(self) -> None:
        close = getattr(self._stream, "close", None)
        if close is not None:
            close()
        self._stream, self._piece = iter(()), memoryview(b"")

    def close(self) -> None:
        if not self.closed:
            self._leave()
        super().close()


class CloudBucketObject(io.BufferedReader):
    """An object, opened for reading: a binary file with ``read``, ``readline``, ``readlines``, ``seek``, ``tell``, ``close``;
    lines come by iteration. Bytes are fetched when they are read, with some ahead where one reads on.

    What is read is the version that was there when it was opened. A connection that breaks is opened again. Read from the
    beginning to the end without a jump, the bytes are compared with the object's md5.

    Attributes:
        key: of the object.
        filesize: bytes of the whole object.
        sizeofchunk: bytes from ``start_byte`` to ``end_byte``, which can be read.
        end: the byte after the last that can be read, counted in the whole object.
        md5: of the whole object, hexadecimal; None where it is not known.
    """

    def __init__(self, found: Content, start: int, end: int) -> None:
        super().__init__(_Raw(found, start, end), max(min(PIECE >> 3, end - start), 1))
        self.key, self.filesize = found.object.key, found.object.size
        self.sizeofchunk, self.end = end - start, end
        self.md5 = found.object.md5 or None

    @property
    def name(self) -> str:
        """The key."""
        return self.key
