"""A writable layer as a tar that comes out the same whenever the same things are in it.

    pack([("usr", folder), ("", folder)], out) -> Packed(digest, size, files, unpacked)

Names are sorted, times are one fixed time, what only caches or records usage is left out, and compiled Python stays only
beside the source that it fits. Ids are those that this process sees: run it as root of the sandbox's user namespace.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import zstandard

from picloud.sandbox.tar import EPOCH, Entry, TarWriter

LEVEL = 3
THREADS = 2
"""Of the compressor. Fixed, because one thread alone gives other bytes than several."""

CONTENTS = ("dev/", "proc/", "sys/", "run/", "tmp/", "var/tmp/")
"""Folders that every sandbox gets anew."""
VOLATILE = re.compile(
    "|".join(
        fnmatch.translate(pattern)
        for pattern in (
            "root/.cache/*",
            "home/*/.cache/*",
            "*/.bash_history",
            "*/.python_history",
            "*/.lesshst",
            "*/.viminfo",
            "*/.wget-hsts",
            "etc/passwd-",
            "etc/group-",
            "etc/shadow-",
            "etc/gshadow-",
            "etc/subuid-",
            "etc/subgid-",
            "etc/.pwd.lock",
            "var/lib/dpkg/*-old",
            "var/lib/dpkg/lock*",
            "var/lib/dpkg/triggers/Lock",
            "var/cache/debconf/*-old",
            "var/cache/ldconfig/aux-cache",
        )
    )
)
FILES_OF = ("var/cache/apt/", "var/lib/apt/lists/", "var/log/")
"""Folders that stay, with those in them, but none of their files."""


class Packed(NamedTuple):
    """A layer that was written."""

    digest: str  # sha256 of the compressed tar: its name everywhere
    size: int  # bytes of it
    files: int  # entries in it
    unpacked: int  # bytes of the files in it


Skip = Callable[[str, bool], bool]
"""(path in the layer, is a folder) -> leave it out, with all in it."""


def volatile(path: str, folder: bool) -> bool:
    """What records usage and not contents: caches, logs, histories, lock and backup files."""
    if path.startswith(CONTENTS) or VOLATILE.match(path):
        return True
    return not folder and path.startswith(FILES_OF)


def pack(roots: Sequence[tuple[str, int | Path]], out: BinaryIO, *, skip: Skip = volatile, limit: int = 0) -> Packed:
    """Write folders as one layer.

    Args:
        roots: (path that the folder has in the layer, "" = /; the folder, or a descriptor of it).
        out: gets the compressed tar.
        skip: what to leave out.
        limit: bytes of files that it may hold; 0 = any number.

    Raises:
        BadRequest: a device node lies in it.
        TooLarge: it would hold more than ``limit``.
        OSError: something could not be read or written, the disk being full for instance.
    """
    sink = _Digest(out)
    compressor = zstandard.ZstdCompressor(level=LEVEL, threads=THREADS)
    with compressor.stream_writer(cast(BinaryIO, sink), closefd=False) as stream:
        tar = TarWriter(stream.write, limit)
        for entry, header in _pieces(roots, skip):
            tar.add(entry, header)
        tar.end()
    return Packed(sink.hash.hexdigest(), sink.size, tar.files, tar.bytes)


class _Digest:
    """A file that is hashed while it is written."""

    def __init__(self, out: BinaryIO) -> None:
        self._out, self.hash, self.size = out, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        self.size += len(data)
        self._out.write(data)
        return len(data)


def _pieces(roots: Sequence[tuple[str, int | Path]], skip: Skip) -> Iterator[tuple[Entry, bytes]]:
    """All entries of all roots, each folder before what is in it."""
    named = sorted(((prefix.strip("/"), root) for prefix, root in roots), key=lambda pair: pair[0])
    own = frozenset(prefix for prefix, _ in named if prefix)
    for prefix, root in named:
        fd = root if isinstance(root, int) else os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            walk = _Walk(lambda path, folder: path in own or skip(path, folder))
            if prefix and os.listdir(fd):
                yield from _above(prefix, fd)
            yield from walk.folder(fd, prefix, {})
        finally:
            if not isinstance(root, int):
                os.close(fd)


def _above(prefix: str, fd: int) -> Iterator[tuple[Entry, bytes]]:
    """The folders on the way to a root, which look like the root itself."""
    parts = prefix.split("/")
    for count in range(len(parts)):
        yield Entry("/".join(parts[: count + 1]), fd, ".", os.fstat(fd)), b""


class _Walk:
    def __init__(self, skip: Skip) -> None:
        self._skip = skip

    def folder(self, fd: int, path: str, sources: dict[str, os.stat_result]) -> Iterator[tuple[Entry, bytes]]:
        """What is in one folder, by name. ``sources``: the Python files beside it, by name without the ending."""
        with os.scandir(fd) as found:
            names = sorted(item.name for item in found)
        compiled = path.endswith("__pycache__")
        states = {name: status for name in names if (status := _status(name, fd))}
        beside = {name[:-3]: status for name, status in states.items() if name.endswith(".py")}
        for name, status in states.items():
            inner = f"{path}/{name}" if path else name
            directory = stat.S_ISDIR(status.st_mode)
            if self._skip(inner, directory) or stat.S_ISSOCK(status.st_mode):
                continue
            entry = Entry(inner, fd, name, status)
            if compiled and name.endswith(".pyc") and stat.S_ISREG(status.st_mode):
                header = _fitting(entry, sources.get(name.split(".", 1)[0]))
                if header:
                    yield entry, header
            else:
                yield entry, b""
                if directory:
                    yield from self._below(entry, beside)

    def _below(self, entry: Entry, beside: dict[str, os.stat_result]) -> Iterator[tuple[Entry, bytes]]:
        try:
            fd = os.open(entry.base, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY, dir_fd=entry.folder)
        except (FileNotFoundError, NotADirectoryError):
            return  # removed since it was seen
        try:
            yield from self.folder(fd, entry.name, beside)
        finally:
            os.close(fd)


def _status(name: str, folder: int) -> os.stat_result | None:
    try:
        return os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return None  # removed since the folder was read


def _fitting(entry: Entry, source: os.stat_result | None) -> bytes:
    """The header that compiled Python gets; nothing where it is not of the source beside it, and so would not be used."""
    if source is None:
        return b""
    try:
        fd = os.open(entry.base, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=entry.folder)
    except OSError:
        return b""  # removed or replaced since it was seen
    try:
        header = os.read(fd, 16)
    finally:
        os.close(fd)
    if len(header) < 16 or header[4:8] != bytes(4):
        return header[:16]  # it names its source by a hash: fits whatever the time
    when, size = int.from_bytes(header[8:12], "little"), int.from_bytes(header[12:], "little")
    fits = when == int(source.st_mtime) & 0xFFFFFFFF and size == source.st_size & 0xFFFFFFFF
    return header[:8] + EPOCH.to_bytes(4, "little") + header[12:] if fits else b""
