"""Bytes that come in pieces on their way to a file: written in a thread, a mebibyte at a time, while the next come in."""

from __future__ import annotations

import asyncio
from zlib import crc32

from picloud.store.files import PIECE, Sink


class Writing:
    """One blob being written.

    Args:
        sink: what takes the bytes; it is committed or aborted here.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._held: list[bytes] = []
        self._size = self._crc = 0
        self._work: asyncio.Future[None] | None = None

    async def add(self, part: bytes) -> None:
        """Take bytes; waits while those before the last are not written."""
        self._held.append(part)
        self._size += len(part)
        if self._size >= PIECE:
            await self._flush()

    async def end(self) -> int:
        """Bring the blob to the disk; the CRC-32 of its bytes."""
        await self._flush()
        await self._settled()
        await asyncio.to_thread(self._sink.commit)
        return self._crc

    async def abort(self) -> None:
        """Forget it, when nobody writes to it any more: its file's number may be another's as soon as it is closed."""
        if self._work is not None:
            await asyncio.wait([self._work])
        await asyncio.to_thread(self._sink.abort)  # an object store is asked to take back what it has

    async def _flush(self) -> None:
        await self._settled()
        held, self._held, self._size = self._held, [], 0
        self._work = asyncio.get_running_loop().run_in_executor(None, self._write, held)

    async def _settled(self) -> None:
        if self._work is not None:
            await asyncio.shield(self._work)
            self._work = None

    def _write(self, held: list[bytes]) -> None:
        for part in held:
            self._sink.write(part)
            self._crc = crc32(part, self._crc)
