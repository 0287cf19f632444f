"""The first words between the kernel and whoever answers for a FUSE mount (include/uapi/linux/fuse.h, 7.31).

The kernel asks them at once, long before anybody looks into the folder; so they can be answered by somebody who starts the
real server only when there is a question for it.
"""

from __future__ import annotations

import errno
import os
import struct
from enum import IntEnum


class Opcode(IntEnum):
    """What the kernel asks for."""

    LOOKUP, FORGET, GETATTR, SETATTR, SYMLINK, MKNOD, MKDIR = 1, 2, 3, 4, 6, 8, 9
    UNLINK, RMDIR, RENAME, LINK, OPEN, READ, WRITE, STATFS, RELEASE = 10, 11, 12, 13, 14, 15, 16, 17, 18
    FSYNC, FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, FSYNCDIR = 20, 25, 26, 27, 28, 29, 30
    ACCESS, CREATE, INTERRUPT, DESTROY, IOCTL, BATCH_FORGET = 34, 35, 36, 38, 39, 42
    FALLOCATE, READDIRPLUS, RENAME2 = 43, 44, 45


MAJOR, MINOR = 7, 31
MAX_WRITE = 1 << 20
READ_SIZE = MAX_WRITE + 4096 * 2
"""Bytes that one request may have."""
ASYNC_READ, ATOMIC_O_TRUNC, BIG_WRITES, AUTO_INVAL_DATA = 1 << 0, 1 << 3, 1 << 5, 1 << 12
READDIRPLUS, READDIRPLUS_AUTO = 1 << 13, 1 << 14
PARALLEL_DIROPS, ABORT_ERROR, MAX_PAGES = 1 << 18, 1 << 21, 1 << 22
WANTED = ASYNC_READ | ATOMIC_O_TRUNC | BIG_WRITES | AUTO_INVAL_DATA | PARALLEL_DIROPS | ABORT_ERROR | MAX_PAGES
WANTED |= READDIRPLUS | READDIRPLUS_AUTO
HEAD = struct.Struct("=IIQQIIII")
"""Begin of each request: length, opcode, unique, node, uid, gid, pid, extensions."""
ANSWER = struct.Struct("=IiQ")
_INIT_IN = struct.Struct("=IIII")
_INIT_OUT = struct.Struct("=IIIIHHIIHHI28x")


def next_request(device: int, buffer: bytearray) -> int | None:
    """Bytes of the next request; None when there will be none.

    Raises:
        OSError: something is wrong with the device.
    """
    while True:
        try:
            return os.readv(device, [buffer])
        except OSError as error:
            if error.errno in (errno.ENODEV, errno.ECONNABORTED):
                return None
            if error.errno not in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                raise


def greet(device: int) -> bool:
    """Answer the kernel's first question; False if the mount is gone."""
    buffer = bytearray(READ_SIZE)
    size = next_request(device, buffer)
    if size is None:
        return False
    unique = HEAD.unpack_from(buffer)[2]
    body = answer_init(memoryview(buffer)[HEAD.size : size])
    os.writev(device, [ANSWER.pack(ANSWER.size + len(body), 0, unique), body])
    return True


def answer_init(body: memoryview) -> bytes:
    """What we agree to, by what the kernel offers."""
    _, _, readahead, offered = _INIT_IN.unpack_from(body)
    pages = MAX_WRITE // 4096 if offered & MAX_PAGES else 0
    return _INIT_OUT.pack(MAJOR, MINOR, readahead, offered & WANTED, 64, 48, MAX_WRITE, 1, pages, 0, 0)
