"""Where the bytes of blobs rest: a folder, or an object store at a URL.

    open_files(url, folder) -> Files
    files.create(name) -> Sink                  write(bytes) .. commit() -> size | abort(); also a context manager
    files.read(name, start=0, end=None) -> Iterator[bytes]
    files.size(name) -> int
    files.delete(name)                          no error where it is gone
    files.path(name) -> Path | None             for sendfile, where there is one
    files.sweep() -> int                        removes what crashed writers left

Names are those of :mod:`picloud.store.blob`. All calls block: run them in threads. ``commit`` returns when the bytes and
the name would survive a power cut; a name shows nothing or the whole, never a part. NotFound names what is not there.
"""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from picloud.wire.error import BadRequest, NotFound, SetupError, StorageFull

PIECE = 1 << 20
"""Bytes read at a time."""
ABANDONED = 86_400.0
"""Seconds after which a temporary file is nobody's."""
_NAME = re.compile(r"[0-9a-f]{8,64}")


class Sink(Protocol):
    """A blob being written."""

    def write(self, data: bytes) -> None:
        """Add bytes."""

    def commit(self) -> int:
        """Make the blob durable and visible; its size in bytes."""

    def abort(self) -> None:
        """Forget it; harmless after commit."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Commit, or abort where the block raised."""


class Files(Protocol):
    """The contract; see the module's docstring."""

    def create(self, name: str) -> Sink:
        """Begin to write a blob."""

    def read(self, name: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from ``start`` up to ``end`` (exclusive; None = all), in pieces."""

    def size(self, name: str) -> int:
        """Its size in bytes."""

    def delete(self, name: str) -> None:
        """Remove it."""

    def path(self, name: str) -> Path | None:
        """Its file, where it is one."""

    def sweep(self) -> int:
        """Remove what crashed writers left; how many."""


def open_files(url: str, folder: Path) -> Files:
    """The store at an obstore URL (``s3://bucket/prefix``, ``gs://``, ``az://``), or where that is empty, in a folder.

    Raises:
        SetupError: the URL names no store.
    """
    return Remote(url) if url else Folder(folder)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise BadRequest(f"{name[:80]!r} is no name of a blob")
    return name


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


class _Closing:
    """``with`` for a sink."""

    def commit(self) -> int:
        raise TypeError("a sink says how it commits")

    def abort(self) -> None:
        raise TypeError("a sink says how it aborts")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.commit() if kind is None else self.abort()


class _FolderSink(_Closing):
    def __init__(self, target: Path, temporary: Path) -> None:
        self._target, self._temporary = target, temporary
        self._file = open(temporary, "xb", buffering=0)  # noqa: SIM115 (closed by commit or abort)
        self._size = 0

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                written = self._file.write(view)
                self._size += written
                view = view[written:]
        except OSError as error:
            self.abort()
            raise StorageFull(f"cannot write a blob: {error.strerror}", hint="free some space") from error

    def commit(self) -> int:
        os.fsync(self._file.fileno())
        self._file.close()
        fresh = not self._target.parent.exists()
        self._target.parent.mkdir(parents=True, exist_ok=True)
        os.rename(self._temporary, self._target)
        _sync_folder(self._target.parent)
        if fresh:
            _sync_folder(self._target.parent.parent)
            _sync_folder(self._target.parent.parent.parent)
        return self._size

    def abort(self) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)


class Folder:
    """Blobs as files ``aa/bb/<name>``: written under a temporary name, fsynced, renamed, and the folder fsynced."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._temporary = root / "new"
        self._temporary.mkdir(parents=True, exist_ok=True)

    def create(self, name: str) -> Sink:
        """Begin to write a blob."""
        return _FolderSink(self._place(name), self._temporary / f"{name}.{uuid.uuid4().hex}")

    def read(self, name: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from ``start`` up to ``end``, in pieces."""
        try:
            file = open(self._place(name), "rb", buffering=0)  # noqa: SIM115 (closed by the generator)
        except FileNotFoundError as error:
            raise NotFound(f"the bytes of blob {name} are not there") from error
        return _pieces(file, start, end)

    def size(self, name: str) -> int:
        """Its size in bytes."""
        try:
            return self._place(name).stat().st_size
        except FileNotFoundError as error:
            raise NotFound(f"the bytes of blob {name} are not there") from error

    def delete(self, name: str) -> None:
        """Remove it."""
        self._place(name).unlink(missing_ok=True)

    def path(self, name: str) -> Path | None:
        """Its file."""
        return self._place(name)

    def sweep(self) -> int:
        """Remove temporary files that nobody wrote to for a day."""
        before, gone = time.time() - ABANDONED, 0
        for file in self._temporary.iterdir():
            if file.stat().st_mtime < before:
                file.unlink(missing_ok=True)
                gone += 1
        return gone

    def _place(self, name: str) -> Path:
        _checked(name)
        return self._root / name[:2] / name[2:4] / name


def _pieces(file: Any, start: int, end: int | None) -> Iterator[bytes]:
    with file:
        file.seek(start)
        left = None if end is None else end - start
        while left is None or left > 0:
            piece = file.read(PIECE if left is None else min(PIECE, left))
            if not piece:
                return
            left = None if left is None else left - len(piece)
            yield piece


class _RemoteSink(_Closing):
    def __init__(self, writer: Any) -> None:
        self._writer, self._size, self._open = writer, 0, True

    def write(self, data: bytes) -> None:
        self._writer.write(data)
        self._size += len(data)

    def commit(self) -> int:
        self._open = False
        self._writer.close()
        return self._size

    def abort(self) -> None:
        if self._open:  # an unfinished multipart upload shows nothing; the store's own rules remove it
            self._open, self._writer = False, None


class Remote:
    """Blobs in S3, GCS or Azure through obstore."""

    def __init__(self, url: str) -> None:
        try:
            import obstore
            from obstore.store import from_url

            self._obstore: Any = obstore
            self._store: Any = from_url(url)
        except Exception as error:
            raise SetupError(
                f"cannot use {url!r} for blobs: {error}", hint="see docs/reference on the setting `blobs`"
            ) from error

    def create(self, name: str) -> Sink:
        """Begin to write a blob."""
        return _RemoteSink(self._obstore.open_writer(self._store, _checked(name)))

    def read(self, name: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from ``start`` up to ``end``, in pieces."""
        stop = self.size(name) if end is None else min(end, self.size(name))
        return self._ranges(name, start, stop)

    def _ranges(self, name: str, start: int, stop: int) -> Iterator[bytes]:
        for at in range(start, stop, 8 * PIECE):
            yield bytes(self._obstore.get_range(self._store, name, start=at, end=min(stop, at + 8 * PIECE)))

    def size(self, name: str) -> int:
        """Its size in bytes."""
        try:
            return int(self._obstore.head(self._store, _checked(name))["size"])
        except FileNotFoundError as error:
            raise NotFound(f"the bytes of blob {name} are not there") from error

    def delete(self, name: str) -> None:
        """Remove it."""
        try:
            self._obstore.delete(self._store, _checked(name))
        except FileNotFoundError:
            return

    def path(self, name: str) -> Path | None:
        """There is none."""
        return None

    def sweep(self) -> int:
        """Nothing is left behind under its own name."""
        return 0
