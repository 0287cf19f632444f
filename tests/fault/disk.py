"""A disk whose power can be cut: it knows what of its files and names was brought to rest by fsync, and what was not.

Only that much survives for certain, which is all that POSIX promises: the bytes of a file as of its last fsync, the names in
a folder as of the folder's last fsync.
"""

from __future__ import annotations

import errno
import os
import random
import stat
import threading
from dataclasses import dataclass, field
from pathlib import Path

PAGE = 4096


@dataclass
class Node:
    """A file, a folder, a socket or a link."""

    number: int
    mode: int
    data: bytearray = field(default_factory=bytearray)
    names: dict[str, Node] = field(default_factory=dict)
    synced: bytes = b""
    synced_names: dict[str, Node] = field(default_factory=dict)
    unsynced: list[tuple[int, bytes | None]] = field(default_factory=list)  # writes since; None: cut off or lengthened to there
    modified: int = 0
    opened: int = 0  # handles: a file without a name takes room until the last one is closed

    @property
    def folder(self) -> bool:
        return stat.S_ISDIR(self.mode)


class Disk:
    """See the module. Every act on it holds its lock.

    Args:
        room: bytes of files that it holds; more does not fit.
    """

    def __init__(self, room: int = 1 << 40) -> None:
        self.room = room
        self.lock = threading.RLock()
        self.root = Node(1, stat.S_IFDIR | 0o700)
        self.nodes = {1: self.root}
        self.acts = 0

    @property
    def free(self) -> int:
        """Bytes for which there is room."""
        named = {id(node): node for folder in self.nodes.values() for node in folder.names.values()}
        named |= {id(node): node for node in self.nodes.values() if node.opened}
        return self.room - sum(len(node.data) for node in named.values())

    def make(self, folder: Node, name: str, mode: int) -> Node:
        """A new file or folder."""
        made = Node(len(self.nodes) + 1, mode)
        self.nodes[made.number] = folder.names[name] = made
        return made

    def write(self, file: Node, at: int, data: bytes) -> None:
        """Bytes into a file.

        Raises:
            OSError: ENOSPC.
        """
        more = at + len(data) - len(file.data)
        if more > 0 and self.free < more:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if at > len(file.data):
            self.resize(file, at)
        file.data[at : at + len(data)] = data
        file.unsynced += [(at + first, data[first : first + PAGE]) for first in range(0, len(data), PAGE)]

    def resize(self, file: Node, size: int) -> None:
        """Cut a file off, or lengthen it by zeros."""
        _resize(file.data, size)
        file.unsynced.append((size, None))

    def sync(self, node: Node) -> None:
        """Bring a file's bytes, or a folder's names, to rest."""
        if node.folder:
            node.synced_names = dict(node.names)
        else:
            node.synced = bytes(node.data)
            node.unsynced.clear()

    def cut(self, target: Path, dice: random.Random | None = None) -> None:
        """Write what a power cut now would leave into a new folder.

        Args:
            dice: of what is not at rest, each page and each name survives by chance; without, nothing of it.
        """
        with self.lock:
            self._leave(self.root, target, dice)

    def _leave(self, folder: Node, target: Path, dice: random.Random | None) -> None:
        target.mkdir(mode=stat.S_IMODE(folder.mode))
        for name in folder.names.keys() | folder.synced_names.keys():
            new, old = folder.names.get(name), folder.synced_names.get(name)
            node = dice.choice([new, old]) if dice else old
            if node is None or stat.S_ISSOCK(node.mode):
                continue
            if node.folder:
                self._leave(node, target / name, dice)
            else:
                (target / name).touch(stat.S_IMODE(node.mode))
                (target / name).write_bytes(_left(node, dice))


def _left(file: Node, dice: random.Random | None) -> bytes:
    if dice is None:
        return file.synced
    found = bytearray(file.synced)
    for at, data in file.unsynced:
        if dice.random() < 0.5:
            if data is None:
                _resize(found, at)
            else:
                _resize(found, max(at, len(found)))
                found[at : at + len(data)] = data
    return bytes(found)


def _resize(data: bytearray, size: int) -> None:
    if size < len(data):
        del data[size:]
    else:
        data += bytes(size - len(data))
