"""Bytes of an object on their way here, wherever they lie, and compared with the md5 that is known of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cloud import _objects
from cloud._digest import Digest
from picloud.wire.bulk import PIECE, download
from picloud.wire.error import BadRequest, Conflict, Corrupt, Forbidden
from picloud.wire.object import Content


class Range:
    """The part of an object that is wanted.

    Args:
        start: first byte.
        end: the byte after the last; None = to the object's end.

    Raises:
        ValueError: they are no numbers from 0 on, or the end is before the start.
    """

    def __init__(self, start: int = 0, end: int | None = None) -> None:
        for name, value in (("start_byte", start), ("end_byte", end)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
                raise ValueError(f"{name} must be a number of bytes, 0 or more, not {value!r}")
        if end is not None and end < start:
            raise ValueError(f"end_byte {end} lies before start_byte {start}")
        self.start, self.end = start, end

    def within(self, found: Content) -> tuple[int, int]:
        """First byte, and the byte after the last.

        Raises:
            BadRequest: the range begins behind the object's end.
        """
        size = found.object.size
        if self.start > size:
            raise BadRequest(
                f"{found.object.key!r} has {size} bytes, none from byte {self.start} on", key=found.object.key, size=size
            )
        return self.start, size if self.end is None else min(self.end, size)


def pieces(found: Content, start: int, end: int) -> Iterator[bytes]:
    """The bytes of an object from ``start`` up to ``end`` (exclusive).

    Raises:
        Conflict: the object was changed, and the ticket for the former bytes had ended.
    """
    if found.data is not None:
        yield from (found.data[at : min(at + PIECE, end)] for at in range(start, end, PIECE))
        return
    while start < end:
        try:
            for piece in _stored(found, start, end):
                start += len(piece)
                yield piece
        except Forbidden:  # a ticket is good for an hour
            found = renewed(found)


def _stored(found: Content, start: int, end: int) -> Iterator[bytes]:
    at = 0
    starts = found.starts or [0] * len(found.extents)
    for (length, url), first in zip(found.extents, starts, strict=True):
        low, high = max(start - at, 0), min(end - at, length)
        if low < high:
            yield from download(_objects.link(), url, first + low, first + high)
        at += length


def renewed(found: Content) -> Content:
    """The same object with new tickets."""
    fresh = _objects.content(found.object.key)
    if fresh.object.etag != found.object.etag:
        raise Conflict(f"{found.object.key!r} was changed while it was read", key=found.object.key, hint="read it again")
    return fresh


def save(key: str, part: Range, write: Callable[[Content, Iterator[bytes]], None]) -> None:
    """Bring bytes of an object to ``write``. A whole object whose md5 is not right is brought once more.

    Args:
        write: takes the object and its bytes, and forgets them if the iterator raises.

    Raises:
        NotFound: there is no such object.
        Corrupt: the md5 was wrong twice.
    """
    for last in (False, True):
        found = _objects.content(key)
        start, end = part.within(found)
        try:
            write(found, checked(found, start, end))
            return
        except Corrupt:
            if last:
                raise


def checked(found: Content, start: int, end: int) -> Iterator[bytes]:
    """The same as :func:`pieces`; of whole objects the md5 is compared at the end.

    Raises:
        Corrupt: it is another.
    """
    if not found.object.md5 or (start, end) != (0, found.object.size):
        yield from pieces(found, start, end)
        return
    digest = Digest()
    try:
        for piece in pieces(found, start, end):
            digest.update(piece)
            yield piece
        compare(found, digest.hexdigest())
    finally:
        digest.close()


def compare(found: Content, md5: str) -> None:
    """Compare the md5 of bytes that came with the one that is known.

    Raises:
        Corrupt: it is another.
    """
    if md5 != found.object.md5:
        raise Corrupt(f"{found.object.key!r} came with md5 {md5}, not {found.object.md5}", key=found.object.key,
                      hint="get it again; if that helps not, the network or the server's disk changes bytes")  # fmt: skip
