"""A :class:`tests.fault.disk.Disk` as a file system of this machine, by the kernel's FUSE protocol."""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from picloud.mount import protocol
from picloud.mount.protocol import Head
from picloud.wire import fuse
from picloud.wire.fuse import Opcode
from tests.fault.disk import Disk, Node

NODE, CREATE, READLINK, NO_REPLACE, EXCHANGE = struct.Struct("=Q"), struct.Struct("=IIII"), 5, 1, 2
INIT, INIT_OUT = struct.Struct("=IIII"), struct.Struct("=IIIIHHIIHHI28x")
RENAME2, SETATTR = struct.Struct("=QII"), struct.Struct("=IIQQ")
SET_MODE = 1


class Refused(OSError):
    """Answered with this errno."""

    def __init__(self, number: int) -> None:
        super().__init__(number, os.strerror(number))


class Drive:
    """Answers the kernel about a disk, one question after the other."""

    def __init__(self, disk: Disk, device: int) -> None:
        self.disk, self._device = disk, device
        self._table: dict[int, Callable[[Node, memoryview], bytes | None]] = {
            Opcode.LOOKUP: lambda node, body: self._entry(self._there(node, *protocol.names(body))),
            Opcode.GETATTR: lambda node, body: protocol.attributes_out(self._attributes(node)),
            Opcode.SETATTR: self._set,
            Opcode.MKNOD: lambda node, body: self._entry(self._new(node, body[16:], *struct.unpack_from("=I", body))),
            Opcode.MKDIR: lambda node, body: self._entry(
                self._new(node, body[8:], stat.S_IFDIR | struct.unpack_from("=I", body)[0])
            ),
            Opcode.SYMLINK: self._symlink,
            READLINK: lambda node, body: bytes(node.data),
            Opcode.UNLINK: self._unlink,
            Opcode.RMDIR: self._unlink,
            Opcode.RENAME: lambda node, body: self._rename(node, *NODE.unpack_from(body), 0, body[8:]),
            Opcode.RENAME2: lambda node, body: self._rename(node, *RENAME2.unpack_from(body)[:2], body[16:]),
            Opcode.LINK: self._link,
            Opcode.OPEN: self._open,
            Opcode.CREATE: self._create,
            Opcode.READ: self._read,
            Opcode.WRITE: self._write,
            Opcode.STATFS: lambda node, body: protocol.statfs(self.disk.room // 4096, self.disk.free // 4096, 0),
            Opcode.RELEASE: self._release,
            Opcode.FLUSH: lambda node, body: b"",
            Opcode.FSYNC: self._sync,
            Opcode.FSYNCDIR: self._sync,
            Opcode.OPENDIR: lambda node, body: protocol.OPENED.pack(0, 0, 0),
            Opcode.READDIR: self._list,
            Opcode.RELEASEDIR: lambda node, body: b"",
        }

    def run(self) -> None:
        """Answer until it is unmounted."""
        with os.fdopen(self._device, "rb", buffering=0):  # nobody else may close it: its number would soon be another file's
            self._run()

    def _run(self) -> None:
        buffer = bytearray(fuse.READ_SIZE)
        while (size := fuse.next_request(self._device, buffer)) is not None:
            head = Head(*fuse.HEAD.unpack_from(buffer))
            if head.opcode in (Opcode.FORGET, Opcode.BATCH_FORGET, Opcode.INTERRUPT):
                continue
            number, answer = 0, b""
            try:
                with self.disk.lock:
                    self.disk.acts += 1
                    act = self._table.get(head.opcode)
                    if act is None:
                        raise Refused(errno.ENOSYS)
                    answer = act(self.disk.nodes[head.node], memoryview(buffer)[fuse.HEAD.size : size]) or b""
            except OSError as error:
                number = error.errno or errno.EIO
            try:
                os.writev(self._device, [fuse.ANSWER.pack(fuse.ANSWER.size + len(answer), -number, head.unique), answer])
            except OSError as error:
                if error.errno != errno.ENOENT:  # who asked was killed
                    return

    # -- names ------------------------------------------------------------------------------------------------------

    @staticmethod
    def _there(folder: Node, name: str) -> Node:
        if name not in folder.names:
            raise Refused(errno.ENOENT)
        return folder.names[name]

    def _new(self, folder: Node, names: memoryview, mode: int) -> Node:
        (name,) = protocol.names(names)
        if name in folder.names:
            raise Refused(errno.EEXIST)
        made = self.disk.make(folder, name, mode)
        made.modified = time.time_ns() // 1_000_000
        return made

    def _symlink(self, folder: Node, body: memoryview) -> bytes:
        name, target = protocol.names(body)
        made = self._new(folder, memoryview(name.encode() + b"\0"), stat.S_IFLNK | 0o777)
        made.data += target.encode()
        return self._entry(made)

    def _unlink(self, folder: Node, body: memoryview) -> None:
        (name,) = protocol.names(body)
        if self._there(folder, name).names:
            raise Refused(errno.ENOTEMPTY)
        del folder.names[name]

    def _rename(self, folder: Node, to: int, flags: int, names: memoryview) -> None:
        old, new = protocol.names(names)
        moved, target = self._there(folder, old), self.disk.nodes[to]
        if flags & EXCHANGE:
            raise Refused(errno.EINVAL)
        if flags & NO_REPLACE and new in target.names:
            raise Refused(errno.EEXIST)
        if new in target.names and target.names[new].names:
            raise Refused(errno.ENOTEMPTY)
        del folder.names[old]
        target.names[new] = moved

    def _link(self, folder: Node, body: memoryview) -> bytes:
        (number,), (name,) = NODE.unpack_from(body), protocol.names(body[8:])
        if name in folder.names:
            raise Refused(errno.EEXIST)
        folder.names[name] = self.disk.nodes[number]
        return self._entry(folder.names[name])

    def _list(self, folder: Node, body: memoryview) -> bytes:
        _, offset, size, *_ = protocol.READ.unpack_from(body)
        found = b""
        for at, (name, node) in list(enumerate([(".", folder), ("..", folder), *folder.names.items()]))[offset:]:
            one = protocol.directory_entry(node.number, at + 1, name.encode(), node.folder)
            if len(found) + len(one) > size:
                break
            found += one
        return found

    # -- attributes -------------------------------------------------------------------------------------------------

    @staticmethod
    def _attributes(node: Node) -> bytes:
        return protocol.attribute(node.number, node.mode, len(node.data), node.modified, (os.geteuid(), os.getegid()))

    def _entry(self, node: Node) -> bytes:
        return protocol.entry(node.number, self._attributes(node))

    def _set(self, node: Node, body: memoryview) -> bytes:
        valid, _, _, size = SETATTR.unpack_from(body)
        if valid & protocol.SET_SIZE:
            self.disk.resize(node, size)
        if valid & SET_MODE:
            node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(struct.unpack_from("=I", body, 68)[0])
        return protocol.attributes_out(self._attributes(node))

    # -- bytes ------------------------------------------------------------------------------------------------------

    def _open(self, node: Node, body: memoryview) -> bytes:
        flags, _ = protocol.TWO.unpack_from(body)
        if flags & os.O_TRUNC:
            self.disk.resize(node, 0)
        node.opened += 1
        return protocol.OPENED.pack(0, 0, 0)

    @staticmethod
    def _release(node: Node, body: memoryview) -> None:
        node.opened -= 1

    def _create(self, folder: Node, body: memoryview) -> bytes:
        flags, mode, _, _ = CREATE.unpack_from(body)
        (name,) = protocol.names(body[16:])
        node = folder.names.get(name)
        if node is not None and flags & os.O_EXCL:
            raise Refused(errno.EEXIST)
        node = node or self._new(folder, body[16:], stat.S_IFREG | stat.S_IMODE(mode))
        return self._entry(node) + self._open(node, body)

    @staticmethod
    def _read(node: Node, body: memoryview) -> bytes:
        _, offset, size, *_ = protocol.READ.unpack_from(body)
        return bytes(node.data[offset : offset + size])

    def _write(self, node: Node, body: memoryview) -> bytes:
        _, offset, size, _, _, flags, _ = protocol.WRITE.unpack_from(body)
        at = len(node.data) if flags & os.O_APPEND else offset
        self.disk.write(node, at, bytes(body[protocol.WRITE.size : protocol.WRITE.size + size]))
        node.modified = time.time_ns() // 1_000_000
        return protocol.WRITTEN.pack(size, 0)

    def _sync(self, node: Node, body: memoryview) -> None:
        self.disk.sync(node)


def _greet(device: int) -> None:
    """Agree to the few things that are spoken here."""
    buffer = bytearray(fuse.READ_SIZE)
    assert fuse.next_request(device, buffer)
    unique = fuse.HEAD.unpack_from(buffer)[2]
    _, _, readahead, offered = INIT.unpack_from(buffer, fuse.HEAD.size)
    wanted = offered & (fuse.ASYNC_READ | fuse.ATOMIC_O_TRUNC | fuse.BIG_WRITES | fuse.AUTO_INVAL_DATA | fuse.MAX_PAGES)
    pages = fuse.MAX_WRITE // 4096 if offered & fuse.MAX_PAGES else 0
    body = INIT_OUT.pack(fuse.MAJOR, fuse.MINOR, readahead, wanted, 64, 48, fuse.MAX_WRITE, 1, pages, 0, 0)
    os.writev(device, [fuse.ANSWER.pack(fuse.ANSWER.size + len(body), 0, unique), body])


@contextmanager
def plugged(disk: Disk, folder: Path) -> Iterator[None]:
    """Show a disk at an empty folder."""
    near, far = socket.socketpair()
    with near, far:
        command = ["fusermount3", "-o", "fsname=disk,default_permissions", "--", str(folder)]
        subprocess.run(command, env={**os.environ, "_FUSE_COMMFD": str(far.fileno())}, pass_fds=[far.fileno()], check=True)
        _, (device,), _, _ = socket.recv_fds(near, 1, 1)
    os.set_inheritable(device, False)
    _greet(device)
    thread = threading.Thread(target=Drive(disk, device).run, name="drive", daemon=True)
    thread.start()
    try:
        yield
    finally:
        subprocess.run(["fusermount3", "-u", "-z", "--", str(folder)], check=True)
        thread.join(1)  # it lives on where a sandbox's copy of the mount does
