"""The kernel's side of FUSE (include/uapi/linux/fuse.h, 7.31): requests, answers, and nothing that decides.

It is spoken here in full, without libfuse: the kernel names files by numbers that we give, so that a file keeps its number
when it is renamed, replaced or removed while it is open. libfuse's path interface cannot do that (fstat of a removed file
fails), and its sandboxes would need libfuse in every base.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

ROOT = 1


class Opcode(IntEnum):
    LOOKUP, FORGET, GETATTR, SETATTR, SYMLINK, MKNOD, MKDIR = 1, 2, 3, 4, 6, 8, 9
    UNLINK, RMDIR, RENAME, LINK, OPEN, READ, WRITE, STATFS, RELEASE = 10, 11, 12, 13, 14, 15, 16, 17, 18
    FSYNC, FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, FSYNCDIR = 20, 25, 26, 27, 28, 29, 30
    CREATE, INTERRUPT, DESTROY, BATCH_FORGET, FALLOCATE, RENAME2 = 35, 36, 38, 42, 43, 45


KEEP_CACHE = 1 << 1
"""Of an open: the kernel's pages of this file are still true."""
FRESH = 10_000_000
"""Nanoseconds for which the attributes of a lookup are true."""
SET_SIZE, SET_HANDLE = 1 << 3, 1 << 6


class Head(NamedTuple):
    """Begin of each request."""

    length: int
    opcode: int
    unique: int
    node: int
    uid: int
    gid: int
    pid: int
    extensions: int


ATTRIBUTE = struct.Struct("=QQQQQQIIIIIIIIII")
_ENTRY = struct.Struct("=QQQQII")
_ATTR_OUT = struct.Struct("=QII")
OPENED = struct.Struct("=QIi")
READ = struct.Struct("=QQIIQII")
WRITE = struct.Struct("=QQIIQII")
WRITTEN = struct.Struct("=II")
_SETATTR = struct.Struct("=IIQQQ")
_STATFS = struct.Struct("=QQQQQIIII24x")
_DIRENT = struct.Struct("=QQII")
HANDLE = struct.Struct("=Q")
TWO = struct.Struct("=II")
FORGET = struct.Struct("=Q")
FORGET_ONE = struct.Struct("=QQ")
FALLOCATE = struct.Struct("=QQQII")
FILE, FOLDER = 0o100664, 0o040775


def attribute(number: int, mode: int, size: int, modified: int, owner: tuple[int, int]) -> bytes:
    """Attributes of a file or folder.

    Args:
        number: the inode number that programs see.
        modified: epoch ms.
        owner: user and group.
    """
    seconds, rest = divmod(modified, 1000)
    ns = rest * 1_000_000
    links = 2 if mode == FOLDER else 1
    return ATTRIBUTE.pack(
        number, size, (size + 511) // 512, seconds, seconds, seconds, ns, ns, ns, mode, links, *owner, 0, 4096, 0
    )


def entry(node: int, attributes: bytes) -> bytes:
    """Answer to a lookup. The kernel may not keep the name; the attributes for the stat that looked it up, one tick long."""
    return _ENTRY.pack(node, 0, 0, 0, 0, 1) + attributes


def attributes_out(attributes: bytes) -> bytes:
    """Answer to a question for attributes."""
    return _ATTR_OUT.pack(0, 0, 0) + attributes


def set_attributes(body: memoryview) -> tuple[int, int]:
    """Which attributes are to be set, and the size."""
    valid, _, _, size, _ = _SETATTR.unpack_from(body)
    return valid, size


def statfs(blocks: int, free: int, objects: int) -> bytes:
    """Figures of the file system, in blocks of 4096 bytes."""
    return _STATFS.pack(blocks, free, free, objects + (1 << 40), 1 << 40, 4096, 255, 4096, 0)


def names(body: memoryview) -> list[str]:
    """Names that end a request, each closed by a zero byte."""
    return [bytes(name).decode("utf-8", "surrogateescape") for name in bytes(body).split(b"\0")[:-1]]


def directory_entry(number: int, offset: int, name: bytes, folder: bool) -> bytes:
    """One name of a listing; ``offset``: where to go on behind it."""
    packed = _DIRENT.pack(number, offset, len(name), 4 if folder else 8) + name
    return packed + bytes(-len(packed) % 8)
