"""What an open file was when it was opened: a version of an object, its bytes at hand or in pieces of blobs."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from picloud.mount.blocks import BLOCK, Blocks
from picloud.wire.object import Content, Extent, Object


class Base:
    """An immutable version. The one of a new file has no object and no bytes."""

    def __init__(self, found: Content | None = None) -> None:
        self.object: Object | None = found.object if found else None
        self.data = (found.data or b"") if found else b""
        self.loaded = True
        self.extents: list[Extent] = []
        if found:
            starts = found.starts or [0] * len(found.extents)
            told = zip(found.extents, starts, strict=True)
            self.extents = [Extent(_blob(url), start, length) for (length, url), start in told]
        self._index()

    @classmethod
    def of(cls, one: Object, data: bytes, extents: list[Extent]) -> Base:
        """A version that was just put."""
        made = cls()
        made.object, made.data, made.extents = one, data, extents
        made._index()
        return made

    @classmethod
    def unseen(cls, one: Object) -> Base:
        """A version whose bytes were not asked for yet."""
        made = cls()
        made.object, made.size, made.loaded = one, one.size, False
        return made

    def _index(self) -> None:
        self._starts = list(accumulate((piece.length for piece in self.extents), initial=0))
        self.size = self._starts[-1] if self.extents else len(self.data)

    @property
    def match(self) -> str:
        """What a put must find to replace this version unharmed."""
        return self.object.etag if self.object else ""

    def slice(self, start: int, end: int) -> list[Extent]:
        """The pieces of blobs that hold these bytes."""
        found = []
        at = bisect_right(self._starts, start) - 1
        while start < end:
            piece, inside = self.extents[at], start - self._starts[at]
            length = min(piece.length - inside, end - start)
            found.append(Extent(piece.blob, piece.start + inside, length))
            start, at = start + length, at + 1
        return found

    def read(self, blocks: Blocks, start: int, end: int) -> bytes:
        """Bytes of it; from ``start`` up to ``end`` at most."""
        end = min(end, self.size)
        if start >= end:
            return b""
        if not self.extents:
            return self.data[start:end]
        parts = [blocks.read(piece.blob, piece.start, piece.length) for piece in self.slice(start, end)]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def ahead(self, start: int, end: int) -> list[tuple[str, int]]:
        """The pieces of blobs, as the cache has them, that hold these bytes."""
        found = []
        for piece in self.slice(min(start, self.size), min(end, self.size)) if self.extents else []:
            first, last = piece.start // BLOCK, (piece.start + piece.length - 1) // BLOCK
            found += [(piece.blob, index) for index in range(first, last + 1)]
        return found


def _blob(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]
