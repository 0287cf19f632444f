"""Bytes that come in pieces are written in order, or not at all."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from picloud.edge.writing import Writing
from picloud.store.files import PIECE, Folder
from picloud.wire.error import StorageFull

NAME = "ab" * 16


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("sizes", [[], [1], [PIECE], [PIECE - 1, 1, 1], [65_536] * 40, [3 * PIECE, 5]], ids=str)
def test_pieces_of_any_size(tmp_path: Path, sizes: list[int]) -> None:
    parts = [bytes([number % 251]) * size for number, size in enumerate(sizes)]

    async def write() -> int:
        writing = Writing(Folder(tmp_path).create(NAME))
        for part in parts:
            await writing.add(part)
        return await writing.end()

    whole = b"".join(parts)
    assert asyncio.run(write()) == crc32(whole)
    assert b"".join(Folder(tmp_path).read(NAME)) == whole


class Slow:
    """A sink whose writes wait for a sign."""

    def __init__(self) -> None:
        self.go_on, self.entered = threading.Event(), threading.Event()
        self.done: list[str] = []

    def write(self, data: bytes) -> None:
        self.entered.set()
        assert self.go_on.wait(10)
        self.done.append("written")

    def abort(self) -> None:
        self.done.append("aborted")


def test_a_file_is_not_closed_while_a_thread_writes_to_it() -> None:
    sink: Any = Slow()

    async def write() -> None:
        writing = Writing(sink)
        await writing.add(bytes(PIECE))
        blocked = asyncio.ensure_future(writing.add(bytes(PIECE)))
        await asyncio.to_thread(sink.entered.wait, 10)
        blocked.cancel()
        ending = asyncio.ensure_future(writing.abort())
        await asyncio.wait([blocked])
        assert not ending.done()
        sink.go_on.set()
        await ending

    asyncio.run(write())
    assert sink.done == ["written", "aborted"]


def test_a_full_disk_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    sink = Folder(tmp_path).create(NAME)

    class Full:
        def write(self, data: bytes) -> None:
            raise StorageFull("the disk is full")

        abort = staticmethod(sink.abort)

    async def write() -> None:
        writing = Writing(Full())  # type: ignore[arg-type]
        try:
            await writing.add(bytes(PIECE))
            await writing.end()
        except StorageFull:
            await writing.abort()
            raise

    with pytest.raises(StorageFull):
        asyncio.run(write())
    assert files(tmp_path) == []
