"""Blobs in a folder."""

from __future__ import annotations

import errno
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from picloud.store.files.base import HINT, PIECE, Closing, Sink, checked
from picloud.wire.error import NotFound, SetupError, StorageFull, Unavailable

ABANDONED = 86_400.0
"""Seconds after which a temporary file is nobody's."""


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk: without that a power cut may take a file's name, however safe its bytes are."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class _FolderSink(Closing):
    def __init__(self, target: Path, temporary: Path, settled: set[Path]) -> None:
        self._target, self._temporary, self._settled = target, temporary, settled
        try:
            self._file = open(temporary, "xb", buffering=0, opener=_private)  # noqa: SIM115 (closed by commit or abort)
        except OSError as error:
            raise _refused(error) from error
        self._size = 0

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What the disk refuses ends this blob, and is told to users."""
        try:
            yield
        except OSError as error:
            self.abort()
            raise _refused(error) from error

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        with self._told():
            while view:
                written = self._file.write(view)
                self._size += written
                view = view[written:]

    def commit(self) -> int:
        with self._told():
            os.fsync(self._file.fileno())
            self._file.close()
            self._bring_home()
        return self._size

    def _bring_home(self) -> None:
        folder = self._target.parent
        if folder not in self._settled:
            folder.mkdir(mode=0o700, exist_ok=True)
        os.rename(self._temporary, self._target)
        sync_folder(folder)
        if folder not in self._settled:
            sync_folder(folder.parent)
            self._settled.add(folder)

    def abort(self) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)


class Folder:
    """Blobs as files ``aa/<name>``: written under a temporary name, fsynced, renamed, and the folder fsynced.

    A wider tree would cost more than it brings: each folder's own name has to be brought to the disk too, once.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._temporary = root / "new"
        self._settled = set[Path]()  # folders whose names this process brought to the disk: that one is there says nothing
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._temporary.mkdir(mode=0o700, exist_ok=True)
            sync_folder(root.parent)
        except OSError as error:
            raise _unusable(root, error) from error

    def create(self, name: str) -> Sink:
        """Begin to write a blob."""
        return _FolderSink(self._place(name), self._temporary / f"{name}.{uuid.uuid4().hex}", self._settled)

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

    def delete(self, *names: str) -> None:
        """Remove them."""
        for place in [self._place(name) for name in names]:
            place.unlink(missing_ok=True)

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
        checked(name)
        return self._root / name[:2] / name


def _refused(error: OSError) -> Unavailable:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(f"cannot write a blob: {error.strerror}", hint="free some space")
    return Unavailable(f"cannot write a blob: {error.strerror}", hint="try again; if it stays, look after the disk")


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
