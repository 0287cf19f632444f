"""What of a mount is not stored yet, for jobs, which end after their files are (``picloud.wire.barrier``)."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from picloud.mount.failure import refused
from picloud.mount.nodes import Node
from picloud.mount.tree import Tree
from picloud.wire.barrier import Page

DEADLINE = 60.0
"""Seconds after which what is not stored yet counts as failed."""


class Unstored:
    """Counts what may not be stored, and has it stored.

    Args:
        page: descriptor of the memory where others see the count; -1 = nobody looks.
        at: the mount's place in it.
    """

    def __init__(self, tree: Tree, page: int = -1, at: int = 0) -> None:
        self._tree, self._at = tree, at
        self._lock = threading.Lock()
        self._count = self._came = self._coming = 0  # handles and failures; writes of shared memory: done, under way
        self._untold: list[int] = []  # errnos
        self._page = Page(page) if page >= 0 else None
        self._change(0)
        tree.untold = self._failed

    def _change(self, by: int) -> None:
        with self._lock:
            self._count += by
            if self._page is not None:
                self._page.show(self._at, self._count)

    def opened(self) -> None:
        """A handle that can write is about to be there."""
        self._change(1)

    def closed(self) -> None:
        """One has gone, and what was written by it is stored or failed."""
        self._change(-1)

    def _failed(self, node: Node, error: OSError) -> None:
        """What came after the last close of a file was not stored."""
        self._tell(node, error)
        self._untold.append(error.errno or errno.EIO)
        self._change(1)

    @contextmanager
    def memory(self) -> Iterator[None]:
        """The kernel writes what programs changed in shared memory."""
        with self._lock:
            self._coming += 1
        try:
            yield
        finally:
            with self._lock:
                self._coming, self._came = self._coming - 1, self._came + 1

    def store(self) -> int:
        """Store all that is open; see :data:`picloud.wire.barrier.STORE`.

        Raises:
            OSError: not all of it is stored; the Pi log tells what.
        """
        with self._lock:
            came, self._came = self._came + self._coming, 0
            failed, self._untold = self._untold, []
        self._change(-len(failed))
        ends = time.monotonic() + DEADLINE
        for node in self._tree.nodes.open_contents():
            try:
                self._store(node, ends)
            except OSError as error:
                self._tell(node, error)
                failed.append(error.errno or errno.EIO)
        if failed:
            raise refused(failed[0])
        return came

    def _store(self, node: Node, ends: float) -> None:
        content = node.content
        if time.monotonic() < ends:
            self._tree.flush(node)
        elif content is not None and content.changed and not content.gone:
            raise refused(errno.EIO)

    def _tell(self, node: Node, error: OSError) -> None:
        self._tree.tell(f"{node.key} was not stored: {os.strerror(error.errno or errno.EIO)}")
