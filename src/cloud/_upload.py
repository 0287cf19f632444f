"""Bytes on their way to the server: small ones with the question, others as blobs of at most PART bytes each.

Each part has a connection's patience of its own: if it breaks, that part alone is sent again. While the server brings one part
to its disk the next is sent. What has passed twice must have been the same both times.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from zlib import crc32

from cloud import _objects
from cloud._digest import Digest, md5
from cloud._progress import Bar
from cloud._source import Source, changed
from picloud.wire.bulk import PIECE
from picloud.wire.error import Corrupt
from picloud.wire.link import Body, Link, Pending
from picloud.wire.object import CARRIED, PART, Extent, New, Object

Tell = Callable[[int], None]


def put(source: Source, key: str, headers: dict[str, str], if_match: str | None = None, volume: str = "") -> Object:
    """Store a source as an object; what the index says of it.

    Raises:
        CloudException: the source changes while it is sent.
        Conflict: another version is there than ``if_match`` says; or the key is a folder, or below an object.
        Corrupt: the server got other bytes than were sent, twice.
        StorageFull: the quota, or the server's disk, is full.
    """
    made = New(key, source.size, headers=headers, match=if_match, token=_objects.token())
    if source.size <= CARRIED:
        made.data = source.read(0, source.size)
        made.md5 = md5(made.data)
    else:
        link = _objects.link()  # the simulator is told of before anything is read
        with Bar(source.size, what=key, unit="bytes") as bar:
            made.extents, made.md5 = _upload(link, source, bar.step)
    source.check_end()
    small = made.data is not None and not volume
    return _objects.put_small(made) if small else _objects.put([made], volume)[0]


def _upload(link: Link, source: Source, tell: Tell) -> tuple[list[Extent], str]:
    """The blobs that hold the bytes now, and their md5."""
    digest, extents, under_way = Digest(), list[Extent](), list[_Part]()
    try:
        for start in range(0, source.size, PART):
            part = _Part(link, source, start, min(PART, source.size - start), digest, tell)
            part.send()
            under_way.append(part)
            # One that broke off is brought to its end now: the bytes are hashed in their order.
            while len(under_way) > 1 or (under_way and not under_way[0].is_sent):
                extents.append(under_way[0].arrived())
                del under_way[0]
        extents += [part.arrived() for part in under_way]
        return extents, digest.hexdigest()
    finally:
        digest.close()
        for part in under_way:
            part.leave()


class _Part:
    """A part of a source on its way into one blob."""

    def __init__(self, link: Link, source: Source, start: int, size: int, digest: Digest, tell: Tell) -> None:
        self._link, self._source, self._start, self._size = link, source, start, size
        self._digest, self._tell = digest, tell
        self._farthest, self._seen, self._crc = 0, 0, 0
        self._blob = ""
        self._pending: Pending | None = None

    def send(self) -> None:
        ticket = self._link.json("POST", "/v1/blob", {"sizes": [self._size]})["blobs"][0]
        self._blob = ticket["id"]
        self._pending = self._link.send_put(ticket["url"], Body(self._size, self._pieces))

    def leave(self) -> None:
        """It is not wanted any more."""
        if self._pending is not None:
            self._pending.close()

    @property
    def is_sent(self) -> bool:
        """Whether all of it was sent at least once."""
        return self._farthest == self._size

    def arrived(self) -> Extent:
        """Where the bytes are, when they are on the server's disk."""
        if self._told() != self._crc:
            self.send()  # bytes that changed on the way: once more, into another blob
            if self._told() != self._crc:
                raise Corrupt(f"{self._source.name}: the server received other bytes than were sent, twice",
                              hint="something between here and the server changes bytes; ask who runs the network")  # fmt: skip
        return Extent(self._blob, 0, self._size)

    def _told(self) -> int:
        assert self._pending is not None
        return int(json.loads(self._pending.read_response())["crc32"])

    def _pieces(self) -> Iterator[bytes]:
        """The bytes from the first on. Those that come for the first time are hashed and counted."""
        self._crc = 0
        for at in range(0, self._size, PIECE):
            piece = self._source.read(self._start + at, min(PIECE, self._size - at))
            self._crc = crc32(piece, self._crc)
            end = at + len(piece)
            if end > self._farthest:
                self._digest.update(piece)
                self._tell(len(piece))
                self._farthest, self._seen = end, self._crc
            elif end == self._farthest and self._crc != self._seen:
                raise changed(self._source.name)
            yield piece
