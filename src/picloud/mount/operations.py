"""The kernel's questions, each with its answer. ``docs/explain/mount.md`` tells the contract that they keep."""

from __future__ import annotations

import errno
import os
import stat
import struct
import time
from collections.abc import Mapping
from contextlib import nullcontext
from itertools import count

from picloud.mount import protocol
from picloud.mount.failure import refused
from picloud.mount.naming import Naming
from picloud.mount.nodes import Node
from picloud.mount.protocol import Head, Wanted
from picloud.mount.session import Operation
from picloud.mount.tree import Tree
from picloud.mount.unstored import Unstored
from picloud.wire.barrier import STORE
from picloud.wire.fuse import Opcode
from picloud.wire.object import MODE, MTIME

_FROM_MEMORY = 1
"""Of a write: the kernel's pages of shared memory, not a program's call."""
_PLENTY = 1 << 50
"""Bytes that an account without a quota seems to have."""


class Operations:
    """Answers about one mounted tree."""

    def __init__(self, tree: Tree, unstored: Unstored) -> None:
        self._tree, self._nodes, self._unstored = tree, tree.nodes, unstored
        self._handles: dict[int, Node] = {}
        self._readers: set[int] = set()  # handles that cannot write: their close stores nothing of others
        self._numbers = count(1)

    def table(self) -> Mapping[int, Operation]:
        """Which operation answers which request; what is not here is refused with ENOSYS."""
        own: dict[int, Operation] = {
            Opcode.GETATTR: self.getattr,
            Opcode.SETATTR: self.setattr,
            Opcode.ACCESS: self.access,
            Opcode.OPEN: self.open,
            Opcode.CREATE: self.create,
            Opcode.READ: self.read,
            Opcode.WRITE: self.write,
            Opcode.FLUSH: self.flush,
            Opcode.FSYNC: self.flush,
            Opcode.RELEASE: self.release,
            Opcode.FALLOCATE: self.fallocate,
            Opcode.STATFS: self.statfs,
            Opcode.IOCTL: self.ioctl,
            Opcode.FORGET: self.forget,
            Opcode.BATCH_FORGET: self.forget_many,
            Opcode.INTERRUPT: lambda head, body: None,
            Opcode.DESTROY: lambda head, body: None,
            Opcode.FSYNCDIR: lambda head, body: self._tree.remote.sync(),
        }
        return own | dict(Naming(self._tree).table())

    # -- attributes -------------------------------------------------------------------------------------------------

    def getattr(self, head: Head, body: memoryview) -> bytes:
        return protocol.attributes_out(self._tree.attributes(self._nodes.get(head.node)))

    def access(self, head: Head, body: memoryview) -> None:
        """Whoever may mount may do everything; but is it there?"""
        self._tree.attributes(self._nodes.get(head.node))

    def setattr(self, head: Head, body: memoryview) -> bytes:
        """Size, time and whether it is a program are set; owners are what they are."""
        wanted = protocol.set_attributes(body)
        node = self._nodes.get(head.node)
        if wanted.valid & protocol.SET_SIZE:
            self._truncate(node, wanted.size, bool(wanted.valid & protocol.SET_HANDLE))
        elif not node.folder and (headers := _headers(wanted)):
            self._tree.mark(node, headers)
        return protocol.attributes_out(self._tree.attributes(node))

    def _truncate(self, node: Node, size: int, by_handle: bool) -> None:
        self._tree.open(node, os.O_TRUNC if size == 0 else os.O_RDWR)
        try:
            if size:
                self._tree.load(node).truncate(size)
            if not by_handle:
                self._tree.flush(node)
        finally:
            self._tree.release(node)

    def statfs(self, head: Head, body: memoryview) -> bytes:
        used = self._tree.remote.usage()
        quota = int(used["quota"]) or _PLENTY
        return protocol.statfs(quota // 4096, max(0, quota - int(used["bytes"])) // 4096, int(used["objects"]))

    # -- open files -------------------------------------------------------------------------------------------------

    def open(self, head: Head, body: memoryview) -> bytes:
        flags, _ = protocol.TWO.unpack_from(body)
        node = self._nodes.get(head.node)
        if node.folder:
            raise refused(errno.EISDIR)
        same = self._tree.open(node, flags)
        return self._opened(node, protocol.KEEP_CACHE if same else 0, flags)

    def _opened(self, node: Node, told: int, flags: int) -> bytes:
        handle = next(self._numbers)
        self._handles[handle] = node
        if flags & os.O_ACCMODE == os.O_RDONLY:
            self._readers.add(handle)
        else:
            self._unstored.opened()
        if flags & (os.O_ACCMODE | os.O_APPEND) == os.O_WRONLY | os.O_APPEND:
            told = protocol.DIRECT  # a close by somebody else must not store half a line
        return protocol.OPENED.pack(handle, told, 0)

    def create(self, head: Head, body: memoryview) -> bytes:
        flags, mode = protocol.TWO.unpack_from(body)
        (name,) = protocol.names(body[16:])
        parent = self._nodes.get(head.node)
        if (there := self._tree.find(parent, name)) is not None:
            if flags & os.O_EXCL:
                raise refused(errno.EEXIST)
            if there.folder:
                raise refused(errno.EISDIR)
            node = there
            self._tree.open(node, flags)
        else:
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise refused(errno.EPERM)
            node = self._tree.begin(self._tree.key(parent, name), mode)
            if flags & os.O_EXCL:
                self._claim(node)
        self._nodes.hold(node)
        return protocol.entry(node.number, self._tree.attributes(node)) + self._opened(node, 0, flags | os.O_WRONLY)

    def _claim(self, node: Node) -> None:
        """Store a file that must be new, now: two mounts may want to be the one who made it."""
        try:
            self._tree.claim(node)
        except BaseException:
            self._nodes.removed(node)
            self._tree.release(node)
            raise

    def read(self, head: Head, body: memoryview) -> bytes:
        handle, offset, size, *_ = protocol.READ.unpack_from(body)
        return self._tree.load(self._handles[handle]).read(offset, size)

    def write(self, head: Head, body: memoryview) -> bytes:
        handle, offset, size, how, _, flags, _ = protocol.WRITE.unpack_from(body)
        node = self._handles[handle]
        append = bool(flags & os.O_APPEND) and not how & _FROM_MEMORY
        content = node.content if append else self._tree.load(node)
        assert content is not None
        data = body[protocol.WRITE.size : protocol.WRITE.size + size]
        with self._unstored.memory() if how & _FROM_MEMORY else nullcontext():
            return protocol.WRITTEN.pack(content.write(offset, data, append), 0)

    def flush(self, head: Head, body: memoryview) -> None:
        """close and fsync: back when it is on the server's disk."""
        (handle,) = protocol.HANDLE.unpack_from(body)
        if handle not in self._readers:
            self._tree.flush(self._handles[handle])

    def release(self, head: Head, body: memoryview) -> None:
        (handle,) = protocol.HANDLE.unpack_from(body)
        self._tree.release(self._handles.pop(handle))
        if handle not in self._readers:
            self._unstored.closed()
        self._readers.discard(handle)

    def ioctl(self, head: Head, body: memoryview) -> bytes:
        """A folder stores what is open in the mount; nothing else is known."""
        _, _, command, *_ = protocol.IOCTL.unpack_from(body)
        if command != STORE or not self._nodes.get(head.node).folder:
            raise refused(errno.ENOTTY)
        return protocol.ioctl_out(self._unstored.store())

    def fallocate(self, head: Head, body: memoryview) -> None:
        """Room is not set aside; a file may become longer by it."""
        handle, offset, length, mode, _ = protocol.FALLOCATE.unpack_from(body)
        if mode & ~1:
            raise refused(errno.EOPNOTSUPP)
        content = self._tree.load(self._handles[handle])
        if not mode and offset + length > content.size:
            content.truncate(offset + length)

    # -- what the kernel forgets ------------------------------------------------------------------------------------

    def forget(self, head: Head, body: memoryview) -> None:
        (lookups,) = protocol.FORGET.unpack_from(body)
        self._nodes.forget(head.node, lookups)

    def forget_many(self, head: Head, body: memoryview) -> None:
        number, _ = struct.unpack_from("=II", body)
        for at in range(number):
            node, lookups = protocol.FORGET_ONE.unpack_from(body, 8 + at * protocol.FORGET_ONE.size)
            self._nodes.forget(node, lookups)


def _headers(wanted: Wanted) -> dict[str, str]:
    """What an object keeps of attributes that are to be set."""
    found = {}
    if wanted.valid & protocol.SET_MTIME:
        found[MTIME] = str(time.time_ns() if wanted.valid & protocol.SET_NOW else wanted.modified)
    if wanted.valid & protocol.SET_MODE:
        found[MODE] = "x" if wanted.mode & stat.S_IXUSR else ""
    return found
