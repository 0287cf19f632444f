"""Where the bytes of blobs rest: a folder, or an object store at a URL.

    open_files(url, folder) -> Files
    files.create(name) -> Sink                  write(bytes) .. commit() -> size | abort(); also a context manager
    files.read(name, start=0, end=None) -> Iterator[bytes]
    files.size(name) -> int
    files.delete(name)                          no error where it is gone
    files.path(name) -> Path | None             for sendfile, where there is one
    files.sweep() -> int                        removes what crashed writers left
    files.check()                               SetupError where nothing can be kept there

Names are those of :mod:`picloud.store.blob`. All calls block: run them in threads. ``commit`` returns when the bytes and
the name would survive a power cut; a name shows nothing or the whole, never a part. NotFound names what is not there.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import unquote, urlsplit

from picloud.wire.error import BadRequest, NotFound, SetupError, StorageFull, Unavailable

PIECE = 1 << 20
"""Bytes read at a time."""
ABANDONED = 86_400.0
"""Seconds after which a temporary file is nobody's."""
PATIENCE = 15.0
"""Seconds within which an object store has to answer a check."""
HINT = "correct the setting `blobs` (PICLOUD_BLOBS): an s3://, gs:// or az:// URL, or a folder's absolute path"
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

    def check(self) -> None:
        """Write, read and delete a blob.

        Raises:
            SetupError: that does not work; one line says why.
        """


def open_files(url: str, folder: Path) -> Files:
    """The store at an obstore URL (``s3://bucket/prefix``, ``gs://``, ``az://``), or in a folder.

    Args:
        url: of the store; a ``file://`` URL or an absolute path is a folder too.
        folder: taken where ``url`` is empty.

    Raises:
        SetupError: the URL names no store, or the folder cannot be made.
    """
    chosen = folder_of(url, folder)
    return Remote(url) if chosen is None else Folder(chosen)


def folder_of(url: str, folder: Path) -> Path | None:
    """The folder that :func:`open_files` takes; None where it is an object store."""
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    return Path(url or folder) if not url or url.startswith("/") else None


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


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class _FolderSink(_Closing):
    def __init__(self, target: Path, temporary: Path) -> None:
        self._target, self._temporary = target, temporary
        self._file = open(temporary, "xb", buffering=0, opener=_private)  # noqa: SIM115 (closed by commit or abort)
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
        for folder in (self._target.parent.parent, self._target.parent):
            folder.mkdir(mode=0o700, exist_ok=True)
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
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._temporary.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise _unusable(root, error) from error

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

    def check(self) -> None:
        """Write a file and remove it."""
        probe = self._temporary / f"check.{uuid.uuid4().hex}"
        try:
            probe.write_bytes(b"check")
            probe.unlink()
        except OSError as error:
            raise _unusable(self._root, error) from error

    def _place(self, name: str) -> Path:
        _checked(name)
        return self._root / name[:2] / name[2:4] / name


def _unusable(root: Path, error: OSError) -> SetupError:
    return SetupError(f"cannot keep blobs in {root}: {error.strerror}", hint=HINT, folder=str(root))


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
        with _telling():
            self._writer.write(data)
        self._size += len(data)

    def commit(self) -> int:
        self._open = False
        with _telling():
            self._writer.close()
        return self._size

    def abort(self) -> None:
        if self._open:  # an unfinished multipart upload shows nothing; the store's own rules remove it
            self._open, self._writer = False, None


class Remote:
    """Blobs in S3, GCS or Azure through obstore."""

    def __init__(self, url: str) -> None:
        self._url = url
        try:
            import obstore

            self._obstore: Any = obstore
            self._store: Any = _store(url)
        except Exception as error:
            raise self._unusable(error) from error

    def create(self, name: str) -> Sink:
        """Begin to write a blob."""
        with _telling():
            return _RemoteSink(self._obstore.open_writer(self._store, _checked(name)))

    def read(self, name: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from ``start`` up to ``end``, in pieces."""
        stop = self.size(name) if end is None else min(end, self.size(name))
        return self._ranges(name, start, stop)

    def _ranges(self, name: str, start: int, stop: int) -> Iterator[bytes]:
        for at in range(start, stop, 8 * PIECE):
            with _telling():
                piece = bytes(self._obstore.get_range(self._store, name, start=at, end=min(stop, at + 8 * PIECE)))
            yield piece

    def size(self, name: str) -> int:
        """Its size in bytes."""
        with _telling():
            try:
                return int(self._obstore.head(self._store, _checked(name))["size"])
            except FileNotFoundError as error:
                raise NotFound(f"the bytes of blob {name} are not there") from error

    def delete(self, name: str) -> None:
        """Remove it."""
        with _telling(), contextlib.suppress(FileNotFoundError):
            self._obstore.delete(self._store, _checked(name))

    def path(self, name: str) -> Path | None:
        """There is none."""
        return None

    def sweep(self) -> int:
        """Nothing is left behind under its own name."""
        return 0

    def check(self) -> None:
        """Put a small blob, get it, delete it, with few retries and little patience."""
        if urlsplit(self._url).scheme == "memory":
            raise self._unusable("what is in memory is lost with it, and each process has its own")
        error = _within(PATIENCE, self._try)
        if error is not None:
            raise self._unusable(error) from error

    def _try(self) -> None:
        name = secrets.token_hex(16)
        store = _store(self._url, retry_config={"max_retries": 1, "retry_timeout": timedelta(seconds=PATIENCE / 2)})
        self._obstore.put(store, name, b"check")
        try:
            if bytes(self._obstore.get(store, name).bytes()) != b"check":
                raise OSError("it gives back other bytes than it was given")
        finally:
            self._obstore.delete(store, name)

    def _unusable(self, reason: object) -> SetupError:
        return SetupError(f"cannot use {self._url!r} for blobs: {_first_line(reason)}", hint=HINT, url=self._url)


@contextlib.contextmanager
def _telling() -> Iterator[None]:
    """Say it in our words when an object store fails us.

    Raises:
        Unavailable: with the first line of what the library says.
    """
    from obstore.exceptions import BaseError

    try:
        yield
    except (BaseError, OSError) as error:
        raise Unavailable(f"the store of blobs fails: {_first_line(error)}", hint="try again; see picloud doctor") from error


def _first_line(reason: object) -> str:
    """The libraries' texts go on for pages of debug output behind it."""
    return (next(iter(str(reason).strip().splitlines()), "") or repr(reason))[:300]


def _store(url: str, **options: Any) -> Any:
    from obstore.store import from_url

    return from_url(url, **options)


def _within(seconds: float, do: Callable[[], None]) -> Exception | None:
    """What went wrong in ``do``, in a thread that is left behind if it takes too long."""
    found: list[Exception | None] = []

    def run() -> None:
        try:
            do()
            found.append(None)
        except Exception as error:  # noqa: BLE001 - a library's own kinds; whatever it is, it is told
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    return found[0] if found else TimeoutError(f"it did not answer within {seconds:g} s")
