"""Where the bytes of blobs rest: a folder of ours, or an object store; one small contract.

The folder's ``put`` writes a temporary name, fsyncs it, renames it, and fsyncs the folder, so that a blob that is there is
whole, also after a power cut (obstore's own local store never fsyncs). The rest is obstore.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

PIECE = 1 << 20
"""Bytes read or handed on at once."""

T = TypeVar("T")


class BlobFiles(Protocol):
    """Immutable bytes by name. Names are hexadecimal and chosen by the caller."""

    async def put(self, blob: str, parts: AsyncIterator[bytes]) -> int:
        """Store all of ``parts``; how many bytes. An error of ``parts`` passes through and leaves nothing."""

    async def stat(self, blob: str) -> int | None:
        """Its size in bytes, or None."""

    def get(self, blob: str) -> AsyncIterator[bytes]:
        """Its bytes, in pieces."""

    async def delete(self, blob: str) -> None:
        """Remove it; nothing happens where it is not there."""


class FolderFiles:
    """Blobs in a folder, spread over 256 folders by the first two letters of their names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, blob: str, parts: AsyncIterator[bytes]) -> int:
        final = self._path(blob)
        temporary = final.with_name(f".{blob}.{secrets.token_hex(4)}")
        handle = await _off(_create, temporary)
        size = 0
        try:
            async for part in parts:
                await _off(_write, handle, part)
                size += len(part)
            await _off(os.fsync, handle)
            await _off(_settle, temporary, final)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.close(handle)
        return size

    async def stat(self, blob: str) -> int | None:
        try:
            return (await _off(os.stat, self._path(blob))).st_size
        except FileNotFoundError:
            return None

    async def get(self, blob: str) -> AsyncIterator[bytes]:
        file = await _off(open, self._path(blob), "rb", 0)
        try:
            while piece := await _off(file.read, PIECE):
                yield piece
        finally:
            file.close()

    async def delete(self, blob: str) -> None:
        await _off(self._path(blob).unlink, True)

    def _path(self, blob: str) -> Path:
        return self._folder / blob[:2] / blob


class ObjectFiles:
    """Blobs in S3, GCS or Azure, by obstore."""

    def __init__(self, url: str) -> None:
        import obstore.store  # heavy, and only here

        self._store: Any = obstore.store.from_url(url)

    async def put(self, blob: str, parts: AsyncIterator[bytes]) -> int:
        import obstore

        size = 0

        async def counted() -> AsyncIterator[bytes]:
            nonlocal size
            async for part in parts:
                size += len(part)
                yield part

        await obstore.put_async(self._store, blob, counted())
        return size

    async def stat(self, blob: str) -> int | None:
        import obstore

        try:
            return int((await obstore.head_async(self._store, blob))["size"])
        except FileNotFoundError:
            return None

    async def get(self, blob: str) -> AsyncIterator[bytes]:
        import obstore

        found = await obstore.get_async(self._store, blob)
        async for piece in found.stream(PIECE):
            yield bytes(piece)

    async def delete(self, blob: str) -> None:
        import obstore

        await obstore.delete_async(self._store, blob)


def open_files(where: str) -> BlobFiles:
    """The blobs at a folder's path, or at ``s3://bucket/prefix`` and its like."""
    return ObjectFiles(where) if "://" in where else FolderFiles(Path(where))


async def _off(call: Callable[..., T], *args: Any) -> T:
    return await asyncio.to_thread(call, *args)


def _create(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _write(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _settle(temporary: Path, final: Path) -> None:
    temporary.replace(final)
    for folder in (final.parent, final.parent.parent):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
