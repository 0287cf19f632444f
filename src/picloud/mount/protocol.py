"""The kernel's side of FUSE (include/uapi/linux/fuse.h, 7.31): requests, answers, and nothing that decides.

It is spoken here in full, without libfuse: the kernel names files by numbers that we give, so that a file keeps its number
when it is renamed, replaced or removed while it is open. libfuse's path interface cannot do that (fstat of a removed file
fails), and its sandboxes would need libfuse in every base.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

ROOT = 1


DIRECT = 1 << 0
"""Of an open: what is written comes as it was written. Else the kernel cuts a write in two where it crosses its first page."""
KEEP_CACHE = 1 << 1
"""Of an open: the kernel's pages of this file are still true."""
KEPT = 50_000_000
"""Nanoseconds for which the kernel may go from the name of a folder, or of a file that it has listed, to what it stood for
without asking. It asks that for its attributes, and whether it may be opened: what has lost the name says so, and then the kernel
looks the name up."""
SET_MODE, SET_SIZE, SET_MTIME, SET_HANDLE, SET_NOW = 1 << 0, 1 << 3, 1 << 5, 1 << 6, 1 << 8


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


ATTRIBUTE = struct.Struct("=QQQqqqIIIIIIIIII")
_ENTRY = struct.Struct("=QQQQII")
_ATTR_OUT = struct.Struct("=QII")
OPENED = struct.Struct("=QIi")
READ = struct.Struct("=QQIIQII")
WRITE = struct.Struct("=QQIIQII")
WRITTEN = struct.Struct("=II")
_SETATTR = struct.Struct("=IIQQQQqQIIII16x")
_STATFS = struct.Struct("=QQQQQIIII24x")
_DIRENT = struct.Struct("=QQII")
HANDLE = struct.Struct("=Q")
IOCTL = struct.Struct("=QIIQII")
_IOCTL_OUT = struct.Struct("=iIII")
TWO = struct.Struct("=II")
FORGET = struct.Struct("=Q")
FORGET_ONE = struct.Struct("=QQ")
FALLOCATE = struct.Struct("=QQQII")
FILE, PROGRAM, FOLDER = 0o100664, 0o100775, 0o040775


def attribute(number: int, mode: int, size: int, modified: int, owner: tuple[int, int]) -> bytes:
    """Attributes of a file or folder.

    Args:
        number: the inode number that programs see.
        modified: epoch ns.
        owner: user and group.
    """
    seconds, ns = divmod(modified, 1_000_000_000)
    links = 2 if mode == FOLDER else 1
    return ATTRIBUTE.pack(
        number, size, (size + 511) // 512, seconds, seconds, seconds, ns, ns, ns, mode, links, *owner, 0, 4096, 0
    )


def entry(node: int, attributes: bytes, kept: int = 0) -> bytes:
    """Answer to a lookup.

    Args:
        kept: nanoseconds for which the kernel may keep the name, and then asks for attributes by its node; 0 = it may not keep
            the name, but, one tick long, the attributes for the stat that looked it up.
    """
    return _ENTRY.pack(node, 0, 0, 0, kept, 0 if kept else 1) + attributes


def attributes_out(attributes: bytes) -> bytes:
    """Answer to a question for attributes."""
    return _ATTR_OUT.pack(0, 0, 0) + attributes


class Wanted(NamedTuple):
    """Attributes to be set: those whose bits are in ``valid``."""

    valid: int
    size: int
    modified: int  # epoch ns
    mode: int


def set_attributes(body: memoryview) -> Wanted:
    """Which attributes are to be set."""
    valid, _, _, size, _, _, seconds, _, _, ns, _, mode = _SETATTR.unpack_from(body)
    return Wanted(valid, size, seconds * 1_000_000_000 + ns, mode)


def statfs(blocks: int, free: int, objects: int) -> bytes:
    """Figures of the file system, in blocks of 4096 bytes."""
    return _STATFS.pack(blocks, free, free, objects + (1 << 40), 1 << 40, 4096, 255, 4096, 0)


def ioctl_out(result: int) -> bytes:
    """Answer to an ioctl that moves no bytes."""
    return _IOCTL_OUT.pack(result, 0, 0, 0)


def names(body: memoryview) -> list[str]:
    """Names that end a request, each closed by a zero byte."""
    return [bytes(name).decode("utf-8", "surrogateescape") for name in bytes(body).split(b"\0")[:-1]]


def directory_entry(number: int, offset: int, name: bytes, folder: bool) -> bytes:
    """One name of a listing; ``offset``: where to go on behind it."""
    packed = _DIRENT.pack(number, offset, len(name), 4 if folder else 8) + name
    return packed + bytes(-len(packed) % 8)


def listed_entry(node: int, attributes: bytes, number: int, offset: int, name: bytes, folder: bool) -> bytes:
    """The same with the file behind the name; ``node`` 0 = it is to be looked up."""
    return _ENTRY.pack(node, 0, 0, 0, KEPT if node else 0, 0) + attributes + directory_entry(number, offset, name, folder)


def listed_size(name: bytes) -> int:
    """Bytes of such an entry."""
    return _ENTRY.size + ATTRIBUTE.size + (_DIRENT.size + len(name) + 7) // 8 * 8
