"""Files and folders by the numbers that the kernel knows them by.

A file is its object: it keeps its number wherever its key goes. One that is not stored yet is known by its key alone.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator

from picloud.mount.content import Content
from picloud.mount.names import joined
from picloud.mount.protocol import ROOT
from picloud.wire.object import Object

FOLDERS, _PENDING = 1 << 47, 1 << 48
"""Inode numbers above all ids of objects."""


class Node:
    """A file or folder that the kernel knows."""

    def __init__(self, number: int, key: str, folder: bool) -> None:
        self.number, self.key, self.folder = number, key, folder
        self.known = 0  # lookups that the kernel has not forgotten yet
        self.object: Object | None = None  # of a file: the newest that was seen
        self.content: Content | None = None  # of a file that is open
        self.gone = False  # removed by way of this mount
        self.lost = False  # not open, and removed or renamed elsewhere
        self.inode = FOLDERS + zlib.crc32(key.encode("utf-8", "replace")) if folder else _PENDING + number
        self.made = 0  # epoch ms, of a folder
        self.cached = ""  # etag of the version whose bytes the kernel may remember


class Nodes:
    """All nodes of a mount."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        root = Node(ROOT, "", True)
        root.known = 1
        self._numbers: dict[int, Node] = {ROOT: root}
        self._folders: dict[str, Node] = {"": root}
        self._files: dict[int, Node] = {}  # by object
        self.pending: dict[str, Node] = {}  # files that are not stored yet, by key
        self._next = ROOT

    def get(self, number: int) -> Node:
        """The node of a number."""
        return self._numbers[number]

    def _new(self, key: str, folder: bool) -> Node:
        self._next += 1
        made = self._numbers[self._next] = Node(self._next, key, folder)
        return made

    def folder(self, key: str, made: int) -> Node:
        """The node of a folder."""
        with self.lock:
            node = self._folders.get(key)
            if node is None:
                node = self._folders[key] = self._new(key, True)
            node.made = made
            return node

    def file(self, one: Object) -> Node:
        """The node of an object."""
        with self.lock:
            node = self._files.get(one.id)
            if node is not None and node.key != one.key and node.content is None:
                self.lose(node)  # renamed elsewhere: the kernel may still come by the old name
                node = None
            if node is None:
                node = self._files[one.id] = self._new(one.key, False)
                node.inode = one.id
            node.key, node.object = one.key, one
            return node

    def lose(self, node: Node) -> None:
        """A file has lost the name by which the kernel knows it: who asks for it is told to look the name up."""
        with self.lock:
            node.lost = True
            if node.object is not None and self._files.get(node.object.id) is node:
                del self._files[node.object.id]

    def begin(self, key: str) -> Node:
        """The node of a file that is to be."""
        with self.lock:
            node = self.pending[key] = self._new(key, False)
            return node

    def stored(self, node: Node, one: Object) -> None:
        """A file has been put."""
        with self.lock:
            if self.pending.get(node.key) is node:
                del self.pending[node.key]
            node.object, node.key = one, one.key
            self._files[one.id] = node

    def removed(self, node: Node) -> None:
        """A file's name has gone by way of this mount: what is still open reads on, and is not stored."""
        with self.lock:
            node.gone = True
            if node.content is not None:
                node.content.gone = True
            if self.pending.get(node.key) is node:
                del self.pending[node.key]
            if node.object is not None and self._files.get(node.object.id) is node:
                del self._files[node.object.id]

    def pending_in(self, folder: str) -> Iterator[Node]:
        """Files directly in a folder that are not stored yet."""
        with self.lock:
            found = [node for key, node in self.pending.items() if key == joined(folder, key.rpartition("/")[2])]
        return iter(found)

    def pending_below(self, folder: str) -> list[Node]:
        """Files anywhere below a folder that are not stored yet."""
        with self.lock:
            return [node for key, node in self.pending.items() if key.startswith(f"{folder}/")]

    def moved(self, node: Node, key: str, to: str) -> None:
        """A file or folder has another key, and all below it."""
        with self.lock:
            below = [one for one in self._numbers.values() if one.key.startswith(f"{key}/")] if node.folder else []
            for one in [node, *below]:
                self._rekey(one, to + one.key[len(key) :])

    def _rekey(self, node: Node, key: str) -> None:
        if node.folder and self._folders.get(node.key) is node:
            del self._folders[node.key]
            self._folders[key] = node
        elif self.pending.get(node.key) is node:
            del self.pending[node.key]
            self.pending[key] = node
        node.key = key

    def drop_folder(self, key: str) -> None:
        """A folder has been removed: one of its name is another one."""
        with self.lock:
            self._folders.pop(key, None)

    def hold(self, node: Node) -> None:
        """The kernel is about to be told of a node once more, which it may have forgotten a moment ago."""
        with self.lock:
            node.known += 1
            self._numbers[node.number] = node
            if node.folder:
                self._folders.setdefault(node.key, node)
            elif node.object is not None and not node.gone and not node.lost:
                self._files.setdefault(node.object.id, node)

    def forget(self, number: int, count: int) -> None:
        """The kernel has forgotten so many lookups of a node."""
        with self.lock:
            node = self._numbers.get(number)
            if node is None or number == ROOT:
                return
            node.known -= count
            if node.known <= 0 and node.content is None:
                del self._numbers[number]
                if node.folder and self._folders.get(node.key) is node:
                    del self._folders[node.key]
                if node.object is not None and self._files.get(node.object.id) is node:
                    del self._files[node.object.id]

    def open_contents(self) -> list[Node]:
        """Files that are open."""
        with self.lock:
            return [node for node in self._numbers.values() if node.content is not None]
