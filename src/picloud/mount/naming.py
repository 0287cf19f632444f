"""The kernel's questions about names: looking up, listing, making, removing, renaming."""

from __future__ import annotations

import errno
import os
import stat
import zlib
from collections.abc import Mapping
from itertools import count

from msgspec import structs

from picloud.mount import protocol
from picloud.mount.failure import refused
from picloud.mount.names import joined, split
from picloud.mount.nodes import FOLDERS, Node
from picloud.mount.protocol import Head
from picloud.mount.session import Operation
from picloud.mount.tree import Tree
from picloud.wire.error import Conflict
from picloud.wire.fuse import Opcode
from picloud.wire.object import Event, Object

_NOREPLACE = 1
Entries = list[tuple[int, bytes, bool, Object | None]]
"""Inode number, name, whether it is a folder; of a stored file the object."""
_UNKNOWN = bytes(protocol.ATTRIBUTE.size)


class Naming:
    """Answers about the names of one mounted tree."""

    def __init__(self, tree: Tree) -> None:
        self._tree, self._nodes = tree, tree.nodes
        self._listings: dict[int, Entries] = {}
        self._numbers = count(1)

    def table(self) -> Mapping[int, Operation]:
        """Which operation answers which request."""
        return {
            Opcode.LOOKUP: self.lookup,
            Opcode.OPENDIR: self.opendir,
            Opcode.READDIR: self.readdir,
            Opcode.READDIRPLUS: self.readdir_plus,
            Opcode.RELEASEDIR: self.releasedir,
            Opcode.MKDIR: self.mkdir,
            Opcode.MKNOD: self.mknod,
            Opcode.UNLINK: self.unlink,
            Opcode.RMDIR: self.rmdir,
            Opcode.RENAME: self.rename,
            Opcode.RENAME2: self.rename,
            Opcode.LINK: self.forbidden,
            Opcode.SYMLINK: self.forbidden,
        }

    def forbidden(self, head: Head, body: memoryview) -> None:
        """Links are no objects."""
        raise refused(errno.EPERM)

    def lookup(self, head: Head, body: memoryview) -> bytes:
        (name,) = protocol.names(body)
        parent = self._nodes.get(head.node)
        return self._entry(self._tree.need(parent, name))

    def _entry(self, node: Node) -> bytes:
        self._nodes.hold(node)
        try:
            kept = protocol.KEPT if node.folder and self._tree.feed.live.is_set() else 0
            return protocol.entry(node.number, self._tree.attributes(node, known=True), kept)
        except BaseException:
            self._nodes.forget(node.number, 1)
            raise

    # -- listings ---------------------------------------------------------------------------------------------------

    def opendir(self, head: Head, body: memoryview) -> bytes:
        self._tree.check_folder(self._nodes.get(head.node))
        return protocol.OPENED.pack(next(self._numbers), 0, 0)

    def readdir(self, head: Head, body: memoryview) -> bytes:
        packed = bytearray()
        entries, offset, size = self._asked(head, body)
        for at in range(offset, len(entries)):
            number, name, folder, _ = entries[at]
            one = protocol.directory_entry(number, at + 1, name, folder)
            if len(packed) + len(one) > size:
                break
            packed += one
        return bytes(packed)

    def readdir_plus(self, head: Head, body: memoryview) -> bytes:
        """The same with the files themselves, for who wants to know more of each than its name."""
        packed = bytearray()
        entries, offset, size = self._asked(head, body)
        live = self._tree.feed.live.is_set()
        for at in range(offset, len(entries)):
            number, name, folder, one = entries[at]
            if len(packed) + protocol.listed_size(name) > size:
                break
            if one is None or not live:
                packed += protocol.listed_entry(0, _UNKNOWN, number, at + 1, name, folder)
            else:
                node = self._nodes.file(one)
                self._nodes.hold(node)
                packed += protocol.listed_entry(
                    node.number, self._tree.attributes(node, known=True), number, at + 1, name, folder
                )
        return bytes(packed)

    def _asked(self, head: Head, body: memoryview) -> tuple[Entries, int, int]:
        """A listing, from which entry on it is wanted, and how many bytes of it."""
        handle, offset, size, *_ = protocol.READ.unpack_from(body)
        if not offset or handle not in self._listings:
            self._listings[handle] = self._list(self._nodes.get(head.node))
        return self._listings[handle], offset, size

    def _list(self, node: Node) -> Entries:
        self._tree.feed.catch_up()
        pending = {split(one.key)[1]: one for one in self._nodes.pending_in(node.key)}
        found: Entries = [(node.inode, b".", True, None), (node.inode, b"..", True, None)]
        found += [(one.inode, os.fsencode(name), False, None) for name, one in pending.items()]
        for one in self._tree.names.all(node.key):
            name = split(one.key)[1]
            if name not in pending:
                folder = one.key.endswith("/")
                number = FOLDERS + zlib.crc32(one.key[:-1].encode()) if folder else one.id
                found.append((number, name.encode(), folder, None if folder else one))
        return found

    def releasedir(self, head: Head, body: memoryview) -> None:
        (handle,) = protocol.HANDLE.unpack_from(body)
        self._listings.pop(handle, None)

    # -- making -----------------------------------------------------------------------------------------------------

    def mkdir(self, head: Head, body: memoryview) -> bytes:
        (name,) = protocol.names(body[8:])
        parent = self._nodes.get(head.node)
        key = self._tree.key(parent, name)
        if key in self._nodes.pending:
            raise refused(errno.EEXIST)
        self._tree.remote.make_folder(key)
        self._tree.told(Event(f"{key}/", kept=True))
        return self._entry(self._tree.need(parent, name))

    def mknod(self, head: Head, body: memoryview) -> bytes:
        mode, _ = protocol.TWO.unpack_from(body)
        (name,) = protocol.names(body[16:])
        if not stat.S_ISREG(mode):
            raise refused(errno.EPERM)
        parent = self._nodes.get(head.node)
        if self._tree.find(parent, name) is not None:
            raise refused(errno.EEXIST)
        node = self._tree.begin(self._tree.key(parent, name), mode)
        try:
            self._tree.claim(node)
            return self._entry(node)
        finally:
            self._tree.release(node)

    # -- removing ---------------------------------------------------------------------------------------------------

    def unlink(self, head: Head, body: memoryview) -> None:
        (name,) = protocol.names(body)
        node = self._tree.need(self._nodes.get(head.node), name)
        if node.folder:
            raise refused(errno.EISDIR)
        if node.object is not None:
            there = self._tree.remote.remove(node.key)
            self._tree.told(Event(node.key, None, node.object.id, True))
            if not there:
                raise refused(errno.ENOENT)
        self._nodes.removed(node)

    def rmdir(self, head: Head, body: memoryview) -> None:
        (name,) = protocol.names(body)
        node = self._tree.need(self._nodes.get(head.node), name)
        if not node.folder:
            raise refused(errno.ENOTDIR)
        if self._nodes.pending_below(node.key):
            raise refused(errno.ENOTEMPTY)
        try:
            self._tree.remote.remove_folder(node.key)
        except Conflict as error:
            raise refused(errno.ENOTEMPTY) from error
        self._tree.told(Event(f"{node.key}/", kept=True))
        self._nodes.drop_folder(node.key)

    # -- renaming ---------------------------------------------------------------------------------------------------

    def rename(self, head: Head, body: memoryview) -> None:
        new = head.opcode == Opcode.RENAME2
        number, flags = (protocol.HANDLE.unpack_from(body)[0], int.from_bytes(body[8:12], "little") if new else 0)
        name, to_name = protocol.names(body[16 if new else 8 :])
        if flags & ~_NOREPLACE:
            raise refused(errno.EINVAL)
        parent, to_parent = self._nodes.get(head.node), self._nodes.get(number)
        source, target = self._tree.need(parent, name), self._tree.find(to_parent, to_name)
        to = self._tree.key(to_parent, to_name)
        if source is target:
            return
        self._check(source, target, bool(flags))
        if source.object is None and not source.folder:
            self._tree.flush(source)  # a file that exists here alone becomes one that can be renamed
        self._move(source, joined(parent.key, name), target, to, not flags)

    def _check(self, source: Node, target: Node | None, fresh: bool) -> None:
        if target is None:
            return
        if fresh:
            raise refused(errno.EEXIST)
        if target.folder and not source.folder:
            raise refused(errno.EISDIR)
        if source.folder and not target.folder:
            raise refused(errno.ENOTDIR)
        if target.folder and self._nodes.pending_below(target.key):
            raise refused(errno.ENOTEMPTY)

    def _move(self, source: Node, key: str, target: Node | None, to: str, replace: bool) -> None:
        try:
            self._tree.remote.rename(key, to, replace)
        except Conflict as error:
            raise refused(errno.ENOTEMPTY if source.folder else errno.EEXIST) from error
        with self._nodes.lock:
            if target is not None and not target.folder:
                self._nodes.removed(target)
            if target is not None and target.folder:
                self._nodes.drop_folder(target.key)
            self._nodes.moved(source, key, to)
        if source.object is not None:
            source.object = structs.replace(source.object, key=to)
            self._tree.told(Event(key, None, source.object.id, True), Event(to, source.object, source.object.id))
        else:
            self._tree.told(Event(f"{key}/", kept=True), Event(f"{to}/", kept=True))
