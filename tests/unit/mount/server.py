"""A server's side in memory: objects with versions, blobs, and what a put must find."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import structs

from picloud.mount.remote import Remote
from picloud.wire.error import Conflict, NotFound
from picloud.wire.object import Append, Content, Extent, New, Object


class Server:
    """Stands for :class:`picloud.mount.remote.Remote`, with the promises that a mount relies on."""

    def __init__(self) -> None:
        self.objects: dict[int, Object] = {}
        self.bytes_of: dict[int, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.sent: list[int] = []  # bytes of each blob
        self.fetched: list[tuple[str, int]] = []
        self.failure: Exception | None = None
        self.early_failure: Exception | None = None

    def as_remote(self) -> Remote:
        return self  # type: ignore[return-value]

    def find(self, key: str) -> Object | None:
        return next((one for one in self.objects.values() if one.key == key), None)

    def find_id(self, number: int) -> Object | None:
        return self.objects.get(number)

    def copy(self, key: str, to: str) -> None:
        there = self.find(key)
        assert there is not None
        self._store(to, self.bytes_of[there.id])

    def put(self, one: New) -> Object:
        if self.failure is not None:
            raise self.failure
        there = self.objects.get(one.id) if one.id else self.find(one.key)
        if one.id and there is None:
            raise NotFound("gone", id=one.id)
        if one.match is not None and one.match != (there.etag if there else ""):
            raise Conflict("another version", etag=there.etag if there else "")
        data = one.data if one.data is not None else b"".join(self._piece(piece) for piece in one.extents)
        assert len(data) == one.size
        return self._store(there.key if there else one.key, data)

    def append(self, one: Append) -> Object:
        there = self.objects.get(one.id) if one.id else self.find(one.key)
        data = one.data if one.data is not None else b"".join(self._piece(piece) for piece in one.extents)
        return self._store(there.key if there else one.key, (self.bytes_of[there.id] if there else b"") + data)

    def _piece(self, piece: Extent) -> bytes:
        found = self.blobs[piece.blob][piece.start : piece.start + piece.length]
        assert len(found) == piece.length
        return found

    def _store(self, key: str, data: bytes) -> Object:
        there = self.find(key)
        number = there.id if there else len(self.objects) + 1
        made = Object(key, number, there.version + 1 if there else 1, len(data), 1, 2)
        self.objects[number], self.bytes_of[number] = made, data
        return made

    def send(
        self, sizes: Sequence[int], read: Callable[[int], bytes], sent: Callable[[int, str, bytes], None] | None = None
    ) -> list[str]:
        names = []
        for at, size in enumerate(sizes):
            data = bytes(read(at))
            assert len(data) == size
            names.append(f"{len(self.blobs):032x}")
            self.blobs[names[-1]] = data
            self.sent.append(size)
            if sent is not None:
                sent(at, names[-1], data)
        return names

    def send_one(self, parts: Sequence[bytes]) -> str:
        if self.early_failure is not None:
            raise self.early_failure
        return self.send([sum(map(len, parts))], lambda _: b"".join(parts))[0]

    def fetch(self, blob: str, start: int, end: int) -> bytes:
        self.fetched.append((blob, start))
        return self.blobs[blob][start:end]

    def opened(self, key: str, pieces: Sequence[int] = ()) -> Content:
        """An object as ``get`` answers it, its bytes in blobs of these sizes."""
        one = self.find(key)
        assert one is not None
        if not pieces:
            return Content(one, self.bytes_of[one.id])
        extents: list[tuple[int, str]] = []
        at = 0
        for size in pieces:
            name = f"{len(self.blobs):032x}"
            self.blobs[name] = b"?" * 3 + self.bytes_of[one.id][at : at + size]
            extents.append((size, f"http://edge/blob/{name}?mac=1"))
            at += size
        return Content(one, extents=extents, starts=[3] * len(extents))

    def changed(self, number: int, **more: Any) -> None:
        self.objects[number] = structs.replace(self.objects[number], **more)
