"""The tar format, as far as layers need it: fast, and the same bytes for the same things.

A tree may change while it is written, since saving does not stop the programs in it: what vanishes is left out.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import tarfile
from collections.abc import Callable
from typing import NamedTuple

from picloud.wire.error import BadRequest, TooLarge

EPOCH = 315_619_200
"""Every file's time: 2 January 1980, which zip files can hold in any time zone."""
KEPT_XATTRS = ("user.overlay.opaque", "security.capability")
PIECE = 1 << 20
"""Bytes read and written at a time."""
VANISHED = (errno.ENOENT, errno.ELOOP)
"""What opening a file says that was removed, or replaced by a link, since it was seen."""
_USTAR = struct.Struct("100s8s8s8s12s12s8s1s100s8s64x8s8s167x")


class Entry(NamedTuple):
    """Something to pack: how to open it, and what it is called there."""

    name: str  # path in the layer
    folder: int  # descriptor of the folder it lies in; valid until the next entry is asked for
    base: str  # its name there
    status: os.stat_result


class TarWriter:
    """Writes entries one after the other; memory does not grow with the sizes of files.

    Args:
        write: gets the bytes, in pieces.
        limit: bytes of files that may be written in all; 0 = any number. A file may claim to be far larger than what it takes.
    """

    def __init__(self, write: Callable[[bytes], object], limit: int = 0) -> None:
        self._write, self._limit = write, limit
        self._held: list[bytes] = []
        self._waiting = 0
        self._links: dict[tuple[int, int], str] = {}
        self.files = self.bytes = 0

    def add(self, entry: Entry, patch: bytes = b"") -> None:
        """Add one.

        Args:
            entry: what to add.
            patch: bytes that replace the first ones of its contents.

        Raises:
            BadRequest: it is a device node.
            TooLarge: more than ``limit``; no byte of it was written.
            OSError: it could not be read, or not be written.
        """
        status, fd = entry.status, -1
        try:
            if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
                fd = os.open(entry.base, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=entry.folder)
                status = os.fstat(fd)
            self._add(entry._replace(status=status), fd, patch)
        except OSError as error:
            if error.errno not in VANISHED:
                raise
        finally:
            if fd >= 0:
                os.close(fd)

    def _add(self, entry: Entry, fd: int, patch: bytes) -> None:
        info = tarfile.TarInfo(entry.name)
        status = entry.status
        info.mode, info.uid, info.gid, info.mtime = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, EPOCH
        if stat.S_ISDIR(status.st_mode):
            info.type = tarfile.DIRTYPE
        elif not stat.S_ISREG(status.st_mode):
            _special(info, entry)
        elif not self._linked(info, status):
            info.size = status.st_size
            if self._limit and self.bytes + info.size > self._limit:
                raise TooLarge(f"with /{entry.name} the layer's files pass {self._limit} bytes", hint="remove large files first")
        info.pax_headers = _xattrs(fd) if fd >= 0 else {}
        self._put(_header(info))
        if info.size:
            self._contents(fd, info.size, patch)
        self.files += 1

    def _linked(self, info: tarfile.TarInfo, status: os.stat_result) -> bool:
        if status.st_nlink < 2:
            return False
        first = self._links.setdefault((status.st_dev, status.st_ino), info.name)
        if first == info.name:
            return False
        info.type, info.linkname = tarfile.LNKTYPE, first
        return True

    def _contents(self, fd: int, size: int, patch: bytes) -> None:
        """Exactly ``size`` bytes, also of a file that shrinks or grows meanwhile: a broken tar would lose all that follow."""
        left = size
        while left:
            data = os.read(fd, min(left, PIECE)) or bytes(min(left, PIECE))
            if patch:
                data, patch = patch + data[len(patch) :], b""
            self._put(data)
            left -= len(data)
        self._put(bytes(-size % tarfile.BLOCKSIZE))
        self.bytes += size

    def end(self) -> None:
        """Write what ends a tar. Raises OSError."""
        self._put(bytes(2 * tarfile.BLOCKSIZE))
        self._flush()

    def _put(self, data: bytes) -> None:
        self._held.append(data)
        self._waiting += len(data)
        if self._waiting >= PIECE:
            self._flush()

    def _flush(self) -> None:
        self._write(b"".join(self._held))
        self._held.clear()
        self._waiting = 0


def _header(info: tarfile.TarInfo) -> bytes:
    """The blocks before the contents. tarfile writes the same, but takes 20 times as long for simple ones."""
    name, link = os.fsencode(info.name + ("/" if info.isdir() else "")), os.fsencode(info.linkname)
    if max(len(name), len(link)) > 100 or not (name + link).isascii() or info.pax_headers:
        return info.tobuf(tarfile.PAX_FORMAT)
    if max(info.uid, info.gid) >= 1 << 21 or info.size >= 1 << 33:
        return info.tobuf(tarfile.PAX_FORMAT)
    owner = (b"%07o\0" % info.mode, b"%07o\0" % info.uid, b"%07o\0" % info.gid)
    sizes = (b"%011o\0" % info.size, b"%011o\0" % int(info.mtime))
    device = b"0000000\0" if info.type == tarfile.CHRTYPE else b""
    fields = (info.type, link, b"ustar\x0000", device, device)
    block = _USTAR.pack(name, *owner, *sizes, b" " * 8, *fields)
    return block[:148] + b"%06o\0" % sum(block) + block[155:]


def _special(info: tarfile.TarInfo, entry: Entry) -> None:
    """What is neither file nor folder."""
    mode = entry.status.st_mode
    if stat.S_ISLNK(mode):
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(entry.base, dir_fd=entry.folder)
    elif stat.S_ISCHR(mode) and entry.status.st_rdev == 0:
        info.type, info.mode = tarfile.CHRTYPE, 0  # overlayfs: something of a lower layer was removed
    elif stat.S_ISFIFO(mode):
        info.type = tarfile.FIFOTYPE
    else:
        raise BadRequest(f"/{entry.name} is a device node; a layer cannot hold it", hint="remove it, then save again")


def _xattrs(fd: int) -> dict[str, str]:
    try:
        names = os.listxattr(fd)
    except OSError:  # a file system without them
        return {}
    kept = [name for name in KEPT_XATTRS if name in names]
    return {f"SCHILY.xattr.{name}": os.getxattr(fd, name).decode("utf-8", "surrogateescape") for name in kept}
