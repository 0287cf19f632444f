"""Pieces of blobs on disk, for all mounts of this host that share the folder.

Blobs never change, so a piece is right as long as it is there, whoever fetched it: mounts need not speak with each other. Each
piece is a file, written under another name and then renamed. Above the bound the pieces that were not read for longest go;
whoever still reads one has it open. None is brought to rest by fsync, so a power cut may leave holes in them: what is there
of a former start of the machine is removed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol

from picloud.mount.turn import waiting

BLOCK = 4 << 20
"""Bytes of a piece, and of a block of a file that is written."""
SHARE = 0.8
"""Of the bound, what is left after clearing."""
AGAIN = 64
"""Pieces written between two looks at how much there is."""
Fetch = Callable[[str, int, int], bytes | bytearray]


class Named(Protocol):
    """A file that has no name yet."""

    def name(self, path: str, size: int) -> None: ...


class Blocks:
    """The cache.

    Args:
        folder: where it lies; made if it is not there.
        most: bytes that it may hold.
        fetch: brings bytes of a blob (id, start, end), fewer at its end.
    """

    def __init__(self, folder: Path, most: int, fetch: Fetch) -> None:
        self._folder, self._most, self._fetch = folder / _started(), most, fetch
        self._lock = threading.Lock()
        self._coming: dict[tuple[str, int], Future[bytes | bytearray]] = {}
        self._written = 0
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for former in set(folder.iterdir()) - {self._folder}:
            shutil.rmtree(former, ignore_errors=True)  # another mount may be at it too

    def read(self, blob: str, start: int, size: int) -> bytes:
        """Bytes of a blob."""
        parts = []
        while size > 0:
            index, inside = divmod(start, BLOCK)
            part = self._read_one(blob, index, inside, min(size, BLOCK - inside))
            if not part:
                raise OSError(5, f"blob {blob} ends before byte {start}")
            parts.append(part)
            start, size = start + len(part), size - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read_one(self, blob: str, index: int, inside: int, size: int) -> bytes:
        try:
            file = os.open(self._path(blob, index), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # not there, or a disk that gives nothing back: the server has it
            return bytes(memoryview(self.bring(blob, index))[inside : inside + size])
        try:
            return os.pread(file, size, inside)
        finally:
            os.close(file)

    def has(self, blob: str, index: int) -> bool:
        """Whether a piece is here."""
        return os.path.exists(self._path(blob, index))

    def bring(self, blob: str, index: int) -> bytes | bytearray:
        """Fetch a piece, once for all who want it now."""
        with self._lock:
            coming = self._coming.get((blob, index))
            mine = coming is None
            if coming is None:
                coming = self._coming[blob, index] = Future()
        if not mine:
            waiting()
            return coming.result()
        try:
            data = self._fetch(blob, index * BLOCK, (index + 1) * BLOCK)
            coming.set_result(data)  # who waits need not wait for the disk
            self._keep(blob, index, data)
        except BaseException as error:
            if not coming.done():
                coming.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._coming[blob, index]
        return data

    def adopt(self, blob: str, index: int, data: bytes | memoryview, named: Named | None = None) -> None:
        """Keep a piece that was just sent.

        Args:
            named: can give it a name in the cache, where it lies in a file already.
        """
        try:
            if named is None:
                raise OSError("it lies in no file")
            path = self._path(blob, index)
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            named.name(path, len(data))
        except OSError:
            self._keep(blob, index, data)
        else:
            self._count()

    def _path(self, blob: str, index: int) -> str:
        return f"{self._folder}/{blob[:2]}/{blob}.{index}"

    def _keep(self, blob: str, index: int, data: bytes | bytearray | memoryview) -> None:
        path = self._path(blob, index)
        passing = f"{self._folder}/{blob}.{index}.{os.getpid()}.{threading.get_ident()}"
        try:
            with open(passing, "wb", buffering=0) as file:
                if file.write(data) < len(data):  # the last bytes before the disk is full
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            os.rename(passing, path)
        except OSError:  # a full disk: the bytes are given from memory, this once
            with contextlib.suppress(OSError):
                os.unlink(passing)
        self._count()

    def _count(self) -> None:
        with self._lock:
            self._written += 1
            due = self._written % AGAIN == 1
        if due:
            self.clear()

    def clear(self) -> None:
        """Bring the cache below its bound."""
        found = []
        for place, _, names in os.walk(self._folder):
            for name in names:
                with contextlib.suppress(OSError):
                    said = os.stat(path := os.path.join(place, name))
                    found.append((max(said.st_atime, said.st_mtime), said.st_size, path))
        held = sum(size for _, size, _ in found)
        if held <= self._most:
            return
        for _, size, path in sorted(found):
            with contextlib.suppress(OSError):
                os.unlink(path)
            held -= size
            if held <= self._most * SHARE:
                return


def _started() -> str:
    """Another text for each start of this machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
